package llama

import (
	"encoding/binary"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// A sameToken is what one token of each row runs, to be run again for the next (tensor.Recording): the same kernels but for
// where keys and values are written, and how many are seen. Layers and adapters are asked nothing again, so changed looks
// whether they are those that have been asked. A row that has ended is one whose token is padding.
type sameToken struct {
	*tensor.Recording
	rows, slots int
	indices     *tensor.Tensor // i32: ids, positions, segments and places of the tokens; positions, then segments of all slots
	known       int            // slots of which the indices have position and segment
	upTo        int            // positions that the rotary tables have
	logits      *tensor.Tensor
	writes      []*tensor.Call // to caches, kernels.Copy
	reads       []*tensor.Call // of caches, kernels.Attention

	params []*nn.Param
	values []*tensor.Tensor // of those, then
	slot   []*nn.Layer
	layers []nn.Layer // in those
	beside [2]nn.Beside
	still  []func() bool // of the layers, and of what is beside embedding and head
}

// single gives the logits after one more token of each row, or of some; false: nothing was done, and Step has to.
func (d *Decoder) single(ids [][]int32, memory []float32) (ok bool, err error) {
	m := d.model
	if d.unlike || len(ids) != d.rows || d.ids != nil || d.used == d.slots || autograd.Recording(m.device) {
		return false, nil
	}
	given, longest := 0, int32(0)
	for r, row := range ids {
		if len(row) > 1 {
			return false, nil
		}
		if given += len(row); len(row) > 0 {
			longest = max(longest, d.length[r])
		}
	}
	if given == 0 {
		return false, nil
	}
	b := NewBatch(ids, nil)
	b.Positions, b.Segments = make([]int32, d.rows), make([]int32, d.rows)
	for r, row := range ids {
		if b.Segments[r] = -1; len(row) > 0 {
			b.Positions[r], b.Segments[r] = d.length[r], 0
		}
	}
	if m.Config.CheckBatch(b) != nil { // Step says so
		return false, nil
	}
	if d.same != nil && (int(longest) >= d.same.upTo || d.same.changed(m)) {
		d.same.close()
		d.same = nil
	}
	if d.same == nil {
		if d.same = m.newSameToken(d.rows, d.slots); d.same == nil {
			d.unlike = true
			return false, nil
		}
	}
	d.take(b)
	if same := d.same; same.Recording == nil {
		same.record(d, int(longest))
	} else if same.move(d.used, d.caches[0].K); !same.Again() {
		same.Recording.Close()
		same.record(d, int(longest))
	}
	d.used++
	for r, row := range ids {
		d.length[r] += int32(len(row))
	}
	err = d.same.logits.ReadFloat32s(memory)
	if d.unlike {
		d.same.close()
		d.same = nil
	}
	return true, err
}

// take writes down what the next slot has, a token of each row, here and in the indices.
func (d *Decoder) take(b Batch) {
	same := d.same
	for r := range d.rows {
		d.positions[r*d.slots+d.used], d.segments[r*d.slots+d.used] = b.Positions[r], b.Segments[r]
	}
	same.set(0, b.IDs, b.Positions, b.Segments)
	at := 4 * d.rows
	same.known = min(same.known, d.used) // a token that was not computed is written over
	if same.known == 0 {
		same.set(at, d.positions, d.segments)
	} else {
		for i, list := range [][]int32{d.positions, d.segments} {
			for r := range d.rows {
				row := (i*d.rows + r) * d.slots
				same.set(at+row+same.known, list[r*d.slots:][same.known:d.used+1])
			}
		}
	}
	same.known = d.used + 1
}

// close gives its memory back now.
func (s *sameToken) close() {
	if s.Recording != nil {
		s.Recording.Close()
	}
	for _, t := range []*tensor.Tensor{s.indices, s.logits} {
		if t != nil && t.Alive() {
			t.Free("its decoder needs it no more")
		}
	}
}

// newSameToken has the indices of so many rows and slots; nil: the model's tokens are not to be recorded.
func (m *Model) newSameToken(rows, slots int) *sameToken {
	if m.need != nil || m.device.Launches() {
		return nil
	}
	s := &sameToken{rows: rows, slots: slots, beside: [2]nn.Beside{m.BesideEmbedding, m.BesideHead}}
	for _, b := range s.beside {
		if b != nil && !s.steady(b, m.dtype) {
			return nil
		}
	}
	for _, slot := range nn.Layers(m) {
		if l, plain := (*slot).(*nn.Linear); plain {
			was := *l
			s.still = append(s.still, func() bool { return *l == was })
		} else if !s.steady(*slot, m.dtype) {
			return nil
		}
		s.slot, s.layers = append(s.slot, slot), append(s.layers, *slot)
	}
	for _, p := range nn.Params(m) {
		s.params, s.values = append(s.params, p), append(s.values, p.Value)
	}
	if s.changed(m) {
		return nil
	}
	s.indices = m.device.New(tensor.I32, 4*rows+2*rows*slots)
	for scope := m.device.CurrentScope(); scope != nil; scope = scope.Parent() {
		scope.Keep(s.indices)
	}
	places := make([]int32, rows)
	for r := range places {
		places[r] = int32(r)
	}
	s.set(3*rows, places)
	return s
}

// steady asks a layer, or what is beside a weight, to tell whether it changes; false: it can't.
func (s *sameToken) steady(l any, dt tensor.DType) bool {
	var still func() bool
	if l, ok := l.(nn.Steady); ok {
		still = l.Steady(dt, s.rows)
	}
	s.still = append(s.still, still)
	return still != nil
}

// changed reports whether the model has other layers or weights than it had. What layers keep of their parameters is up to
// date if it has not.
func (s *sameToken) changed(m *Model) bool {
	if m.need != nil || m.device.Launches() || s.beside != [2]nn.Beside{m.BesideEmbedding, m.BesideHead} {
		return true
	}
	for i, p := range s.params {
		if p.Value != s.values[i] {
			return true
		}
	}
	for i, slot := range s.slot {
		if *slot != s.layers[i] {
			return true
		}
	}
	for _, still := range s.still {
		if !still() {
			return true
		}
	}
	return false
}

// set writes some of the indices, one list behind the other.
func (s *sameToken) set(at int, lists ...[]int32) {
	var bytes []byte
	for _, list := range lists {
		for _, v := range list {
			bytes = binary.LittleEndian.AppendUint32(bytes, uint32(v))
		}
	}
	s.indices.View(at, len(bytes)/4).SetBytes(bytes)
}

// record computes the token and records it, if the device can.
func (s *sameToken) record(d *Decoder, longest int) {
	m, rows, seen := d.model, s.rows, d.used+1
	if rows > 1 {
		seen = s.slots
	}
	index := func(at int, shape ...int) *nn.Var { return autograd.Const(s.indices.View(at, shape...)) }
	s.upTo = min(2*longest+8, d.slots, m.Config.Context()) // tables grow by doubling
	rotary := m.rotary(s.upTo)
	var out []*tensor.Tensor
	s.Recording, out = m.device.Record(func() []*tensor.Tensor {
		body := m.forwardCached(d, rotary, []*nn.Var{index(0, rows, 1), index(rows, rows, 1), index(2*rows, rows, 1),
			index(4*rows, rows, seen), index(4*rows+rows*s.slots, rows, seen)})
		last := ops.GatherRows(ops.Reshape(body, -1, m.Config.Hidden), index(3*rows, rows))
		return []*tensor.Tensor{m.logits(m.hidden(last)).Tensor()}
	})
	s.logits = out[0]
	d.unlike = s.Recording == nil || !s.find(d.caches)
}

// find notes the kernels that use the caches; false: there are others than are known here.
func (s *sameToken) find(caches []*nn.Cache) bool {
	cached := map[any]bool{}
	for _, c := range caches {
		cached[c.K.Memory()], cached[c.V.Memory()] = true, true
	}
	s.writes, s.reads = nil, nil
	for i := range s.Calls {
		c := &s.Calls[i]
		var uses []int
		for at, t := range c.Of {
			if t != nil && cached[t.Memory()] {
				uses = append(uses, at)
			}
		}
		if len(uses) == 0 {
			continue
		}
		switch c.Kernel.(type) {
		case kernels.Copy:
			if len(uses) != 1 || uses[0] != 0 {
				return false
			}
			s.writes = append(s.writes, c)
		case kernels.Attention:
			if len(uses) != 2 || uses[0] != 3 || uses[1] != 4 || c.Args[6].IsNil() || c.Args[8].IsNil() {
				return false
			}
			s.reads = append(s.reads, c)
		default:
			return false
		}
	}
	return len(s.writes) == 2*len(caches) && len(s.reads) == len(caches)
}

// move has the next tokens write to a slot and, where one row sees no more than there is, see all up to it.
func (s *sameToken) move(slot int, cache *tensor.Tensor) {
	row, seen := cache.Numel()/(s.rows*s.slots), slot+1
	for _, c := range s.writes {
		k := c.Kernel.(kernels.Copy)
		k.YOffset = slot * row
		c.Kernel = k
	}
	if s.rows > 1 {
		return
	}
	for _, c := range s.reads {
		k := c.Kernel.(kernels.Attention)
		k.S = seen
		c.Kernel = k
		c.Args[3].N, c.Args[4].N, c.Args[6].N, c.Args[8].N = seen*row, seen*row, seen, seen
	}
}
