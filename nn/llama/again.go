package llama

import (
	"encoding/binary"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// A sameToken is what one token of one row runs, to be run again for the next (tensor.Recording): the same kernels but for
// where keys and values are written, and how many are seen. Layers and adapters are asked nothing again, so changed looks
// whether they are those that have been asked.
type sameToken struct {
	*tensor.Recording
	indices *tensor.Tensor // i32: id, position, segment and row of the token; positions, then segments of all slots
	known   int            // slots of which the indices have position and segment
	upTo    int            // positions that the rotary tables have
	logits  *tensor.Tensor
	writes  []*tensor.Call // to caches, kernels.Copy
	reads   []*tensor.Call // of caches, kernels.Attention

	params []*nn.Param
	values []*tensor.Tensor // of those, then
	slots  []*nn.Layer
	layers []nn.Layer // in those
}

// single gives the logits after one more token of the only row; false: nothing was done, and Step has to.
func (d *Decoder) single(ids [][]int32, memory []float32) (ok bool, err error) {
	m := d.model
	if d.rows != 1 || len(ids) != 1 || len(ids[0]) != 1 || d.ids != nil || d.unlike || d.used == d.slots ||
		autograd.Recording(m.device) {
		return false, nil
	}
	b := NewBatch(ids, nil)
	b.Positions, b.Segments = d.length, []int32{0}
	if m.Config.CheckBatch(b) != nil { // Step says so
		return false, nil
	}
	if d.same != nil && (d.same.changed(m) || int(d.length[0]) >= d.same.upTo) {
		d.same.close()
		d.same = nil
	}
	if d.same == nil {
		if d.same = m.newSameToken(d.slots); d.same == nil {
			d.unlike = true
			return false, nil
		}
	}
	same, position := d.same, d.length[0]
	d.positions[d.used], d.segments[d.used] = position, 0
	same.set(0, ids[0][0], position, 0, 0)
	same.set(4+same.known, d.positions[same.known:d.used+1]...)
	same.set(4+d.slots+same.known, d.segments[same.known:d.used+1]...)
	same.known = d.used + 1
	if same.Recording == nil {
		same.record(d)
	} else if same.move(d.used, d.caches[0].K); !same.Again() {
		same.Recording.Close()
		same.record(d)
	}
	d.used++
	d.length[0]++
	err = same.logits.ReadFloat32s(memory)
	if d.unlike {
		same.close()
		d.same = nil
	}
	return true, err
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

// newSameToken has the indices of so many slots; nil: the model's tokens are not to be recorded.
func (m *Model) newSameToken(slots int) *sameToken {
	if !m.alikeTokens() {
		return nil
	}
	s := &sameToken{}
	for _, slot := range nn.Layers(m) {
		if _, plain := (*slot).(*nn.Linear); !plain {
			return nil
		}
		s.slots, s.layers = append(s.slots, slot), append(s.layers, *slot)
	}
	for _, p := range nn.Params(m) {
		s.params, s.values = append(s.params, p), append(s.values, p.Value)
	}
	s.indices = m.device.New(tensor.I32, 4+2*slots)
	for scope := m.device.CurrentScope(); scope != nil; scope = scope.Parent() {
		scope.Keep(s.indices)
	}
	return s
}

// alikeTokens reports whether nothing but layers and weights says what a token runs.
func (m *Model) alikeTokens() bool {
	return m.need == nil && m.BesideEmbedding == nil && m.BesideHead == nil && !m.device.Launches()
}

// changed reports whether the model has other layers or weights than it had.
func (s *sameToken) changed(m *Model) bool {
	if !m.alikeTokens() {
		return true
	}
	for i, p := range s.params {
		if p.Value != s.values[i] {
			return true
		}
	}
	for i, slot := range s.slots {
		if *slot != s.layers[i] {
			return true
		}
	}
	return false
}

// set writes some of the indices.
func (s *sameToken) set(at int, values ...int32) {
	var bytes []byte
	for _, v := range values {
		bytes = binary.LittleEndian.AppendUint32(bytes, uint32(v))
	}
	s.indices.View(at, len(values)).SetBytes(bytes)
}

// record computes the token and records it, if the device can.
func (s *sameToken) record(d *Decoder) {
	m, seen := d.model, d.used+1
	index := func(at int, shape ...int) *nn.Var { return autograd.Const(s.indices.View(at, shape...)) }
	s.upTo = min(2*int(d.length[0])+8, d.slots, m.Config.Context()) // tables grow by doubling
	rotary := m.rotary(s.upTo)
	var out []*tensor.Tensor
	s.Recording, out = m.device.Record(func() []*tensor.Tensor {
		body := m.forwardCached(d, rotary, []*nn.Var{index(0, 1, 1), index(1, 1, 1), index(2, 1, 1),
			index(4, 1, seen), index(4+d.slots, 1, seen)})
		rows := ops.GatherRows(ops.Reshape(body, -1, m.Config.Hidden), index(3, 1))
		return []*tensor.Tensor{m.logits(m.hidden(rows)).Tensor()}
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

// move has the next token write to a slot and see all up to it.
func (s *sameToken) move(slot int, cache *tensor.Tensor) {
	row, seen := cache.Numel()/cache.Dim(1), slot+1
	for _, c := range s.writes {
		k := c.Kernel.(kernels.Copy)
		k.YOffset = slot * row
		c.Kernel = k
	}
	for _, c := range s.reads {
		k := c.Kernel.(kernels.Attention)
		k.S = seen
		c.Kernel = k
		c.Args[3].N, c.Args[4].N, c.Args[6].N, c.Args[8].N = seen*row, seen*row, seen, seen
	}
}
