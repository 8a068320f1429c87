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
	slots     int     // tokens that a row has room for
	used      int     // slots that are taken
	length    []int32 // tokens of each row: the position of its next one
	positions []int32 // [rows, slots]
	segments  []int32 // [rows, slots], -1 where a slot is empty
}

// NewDecoder makes room for slots tokens in each row: the longest first piece and all
// that will follow it. Its memory belongs to the scope that is open, if any.
func (m *Model) NewDecoder(rows, slots int) *Decoder {
	d := &Decoder{model: m, rows: rows, slots: slots, length: make([]int32, rows)}
	for range m.Blocks {
		d.caches = append(d.caches, nn.NewCache(m.device, m.DType(), rows, slots, m.Config.KVHeads, m.Config.HeadDim))
	}
	d.positions, d.segments = make([]int32, rows*slots), slices.Repeat([]int32{-1}, rows*slots)
	return d
}

// Step appends tokens to the rows, as many to each as are given, and returns the
// logits after the last token of every row (nil where none was given). Tokens that
// the model does not have, or no room for, are an error and change nothing.
func (d *Decoder) Step(ids [][]int32) (logits [][]float32, err error) {
	m := d.model
	scope := m.device.Scope() // the keys and values stay
	defer scope.Close()
	tokens := 0
	for _, row := range ids {
		tokens = max(tokens, len(row))
	}
	last := make([]int32, len(ids)) // counted over all rows
	for r, row := range ids {
		last[r] = int32(r*tokens + max(len(row)-1, 0))
	}
	body, uploaded, err := d.feed(ids, index{last, []int{len(last)}})
	if err != nil {
		return nil, err
	}
	rows := ops.GatherRows(ops.Reshape(body, -1, m.Config.Hidden), uploaded[0])
	all, err := ops.Linear(m.Norm.Forward(rows), m.HeadWeight().Var(), nil).Tensor().Float32s()
	if err != nil {
		return nil, err
	}
	logits = make([][]float32, d.rows)
	for r, row := range ids {
		if len(row) > 0 {
			logits[r] = all[r*d.model.Config.Vocab : (r+1)*d.model.Config.Vocab]
		}
	}
	return logits, nil
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
	table, keys := m.ropeTable(b.MaxPositions()), []int{d.rows, seen}
	list := append(indices(b), index{d.positions[:d.rows*seen], keys}, index{d.segments[:d.rows*seen], keys})
	in := m.onDevice(append(list, also...)...)
	c := nn.Context{RoPE: table, Positions: in[1], Segments: in[2]}
	use := nn.CacheUse{Slot: d.used, Positions: in[3], Segments: in[4]}
	d.used += tokens
	return m.forward(in[0], func(layer int) nn.Context {
		at := use
		at.Cache = d.caches[layer]
		c := c
		c.Cache = &at
		return c
	}), in[len(list):], nil
}

// Close gives the memory back now; without it, it comes back with its scope or by the
// garbage collector.
func (d *Decoder) Close() {
	for _, c := range d.caches {
		for _, t := range []*tensor.Tensor{c.K, c.V} {
			if t.Alive() {
				t.Free("its decoder has been closed")
			}
		}
	}
}
