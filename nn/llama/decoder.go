package llama

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Decoder runs rows of tokens through a model piece by piece and keeps the keys and
// values, so that each token is computed once.
type Decoder struct {
	model     *Model
	caches    []*nn.Cache
	rows      int
	slots     int       // tokens that a row has room for
	used      int       // slots that are taken
	length    []int32   // tokens of each row: the position of its next one
	ids       [][]int32 // of each row, where the next tokens may turn those before otherwise (Config.longer)
	positions []int32   // [rows, slots]
	segments  []int32   // [rows, slots], -1 where a slot is empty

	same   *sameToken // what the last token has run, or nil
	unlike bool       // tokens are not recorded
}

// NewDecoder makes room for slots tokens in each row: the longest first piece and all
// that will follow it. Its memory belongs to the scope that is open, if any.
func (m *Model) NewDecoder(rows, slots int) *Decoder {
	d := &Decoder{model: m, rows: rows, slots: slots, length: make([]int32, rows)}
	for range m.Blocks {
		d.caches = append(d.caches, nn.NewCache(m.device, m.DType(), rows, slots, m.Config.KVHeads, m.Config.HeadDim))
	}
	if m.Config.longer(1, slots) {
		d.ids = make([][]int32, rows)
	}
	d.positions = make([]int32, rows*slots)
	d.clear()
	return d
}

// clear forgets all tokens.
func (d *Decoder) clear() {
	d.used, d.length = 0, make([]int32, d.rows)
	d.segments = slices.Repeat([]int32{-1}, d.rows*d.slots)
}

// again joins the rows' tokens with those that follow where their positions turn otherwise from
// now on, so that all of them are computed anew.
func (d *Decoder) again(ids [][]int32) [][]int32 {
	if d.ids == nil || len(ids) != d.rows {
		return ids
	}
	before, after, tokens := 0, 0, 0
	for r, row := range ids {
		n := len(d.ids[r])
		before, after, tokens = max(before, n), max(after, n+len(row)), max(tokens, len(row))
	}
	if tokens == 0 || d.used+tokens > d.slots || !d.model.Config.longer(before, after) {
		return ids
	}
	all := make([][]int32, len(ids))
	for r, row := range ids {
		all[r] = slices.Concat(d.ids[r], row)
	}
	if d.model.Config.CheckBatch(NewBatch(all, nil)) != nil { // an error changes nothing
		return ids
	}
	d.clear()
	return all
}

// Step appends tokens to the rows, as many to each as are given, and returns the
// logits after the last token of every row (nil where none was given). Tokens that
// the model does not have, or no room for, are an error and change nothing.
func (d *Decoder) Step(ids [][]int32) (logits [][]float32, err error) {
	return d.step(ids, make([]float32, d.rows*d.model.Config.Vocab))
}

// step is Step that gives the logits in memory of the caller's, [rows, vocab].
func (d *Decoder) step(ids [][]int32, memory []float32) (logits [][]float32, err error) {
	m := d.model
	scope := m.device.Scope() // the keys and values stay
	defer scope.Close()
	scope.Tag = ops.Pieces{}
	if ok, err := d.single(ids, memory); err != nil {
		return nil, err
	} else if ok {
		return d.logitsOf(ids, memory), nil
	}
	fed, tokens := d.again(ids), 0
	for _, row := range fed {
		tokens = max(tokens, len(row))
	}
	last := make([]int32, len(fed)) // counted over all rows
	for r, row := range fed {
		last[r] = int32(r*tokens + max(len(row)-1, 0))
	}
	body, uploaded, err := d.feed(fed, index{last, []int{len(last)}})
	if err != nil {
		return nil, err
	}
	for r := range d.ids {
		d.ids[r] = append(d.ids[r], ids[r]...)
	}
	rows := ops.GatherRows(ops.Reshape(body, -1, m.Config.Hidden), uploaded[0])
	if err := m.logits(m.hidden(rows)).Tensor().ReadFloat32s(memory); err != nil {
		return nil, err
	}
	return d.logitsOf(ids, memory), nil
}

// logitsOf are the rows of memory [rows, vocab] that have been given tokens, nil for others.
func (d *Decoder) logitsOf(ids [][]int32, memory []float32) [][]float32 {
	logits := make([][]float32, d.rows)
	for r, row := range ids {
		if len(row) > 0 {
			logits[r] = memory[r*d.model.Config.Vocab : (r+1)*d.model.Config.Vocab]
		}
	}
	return logits
}

// feed appends tokens to the rows, as Step does, and gives what the blocks make of them,
// [rows, tokens, hidden], shorter rows padded on the right. What else is to be on the device is
// uploaded with them.
func (d *Decoder) feed(ids [][]int32, also ...index) (body *nn.Var, uploaded []*nn.Var, err error) {
	if len(ids) != d.rows {
		return nil, nil, fmt.Errorf("llama: tokens for %d rows: want %d", len(ids), d.rows)
	}
	b := NewBatch(ids, nil)
	tokens := b.Len()
	if tokens == 0 || d.used+tokens > d.slots {
		return nil, nil, fmt.Errorf("llama: %d tokens for a decoder with room for %d more: want at least 1", tokens,
			d.slots-d.used)
	}
	positions, segments := make([]int32, len(b.IDs)), make([]int32, len(b.IDs))
	for r, row := range ids {
		for i := range tokens {
			segments[r*tokens+i] = -1
			if i < len(row) {
				positions[r*tokens+i], segments[r*tokens+i] = d.length[r]+int32(i), 0
			}
		}
	}
	b.Positions, b.Segments = positions, segments
	if err := d.model.Config.CheckBatch(b); err != nil {
		return nil, nil, fmt.Errorf("llama: %w", err)
	}
	for r, row := range ids {
		copy(d.positions[r*d.slots+d.used:], positions[r*tokens:(r+1)*tokens])
		copy(d.segments[r*d.slots+d.used:], segments[r*tokens:(r+1)*tokens])
		d.length[r] += int32(len(row))
	}
	// A single row sees the slots so far, which lie together; several rows see all.
	seen := d.slots
	if d.rows == 1 {
		seen = d.used + tokens
	}
	m := d.model
	rotary, keys := m.rotary(b.MaxPositions()), []int{d.rows, seen}
	list := append(indices(b), index{d.positions[:d.rows*seen], keys}, index{d.segments[:d.rows*seen], keys})
	in := m.onDevice(append(list, also...)...)
	body = m.forwardCached(d, rotary, in)
	d.used += tokens
	return body, in[len(list):], nil
}

// forwardCached is what the blocks make of tokens that go to the decoder's next slots: in has their ids, positions and
// segments, then positions and segments of the slots that they see.
func (m *Model) forwardCached(d *Decoder, rotary func(layer int) nn.Context, in []*nn.Var) *nn.Var {
	use := nn.CacheUse{Slot: d.used, Positions: in[3], Segments: in[4]}
	return m.forward(in[0], func(layer int) nn.Context {
		at := use
		at.Cache = d.caches[layer]
		c := rotary(layer)
		c.Positions, c.Segments, c.Cache = in[1], in[2], &at
		return c
	})
}

// Close gives the memory back now; without it, it comes back with its scope or by the
// garbage collector.
func (d *Decoder) Close() {
	if d.same != nil {
		d.same.close()
		d.same = nil
	}
	for _, c := range d.caches {
		for _, t := range []*tensor.Tensor{c.K, c.V} {
			if t.Alive() {
				t.Free("its decoder has been closed")
			}
		}
	}
}
