package llama

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// BlockStore keeps the weights of a model's blocks somewhere else than on its device, which then has those of two
// blocks at a time: LoadOptions.Blocks. A block's bytes are its tensors in the order of nn.Params, as the device stores
// them, each from the next multiple of tensor.SlabAlign.
//
// The model asks for a block shortly before it is used, on the way forward, on the way back, and where a checkpointed
// one is computed again, and meanwhile for the one that will be next.
type BlockStore interface {
	// Begin is called once, with the size of every block, before anything is put.
	Begin(d *tensor.Device, bytes []int) error
	// Put gives the bytes of a block from one on, which are the caller's: once each, while the model is loaded. What is
	// between tensors is never put.
	Put(layer, at int, data []byte) error
	// Fetch begins to bring a block, and gives what waits until it is there. The model calls that before it fetches
	// another. Room, which is called once, in any goroutine, waits until the memory for the block is free, and gives it.
	Fetch(layer int, room func() ([]byte, error)) (wait func() error)
}

// elsewhere are the weights of blocks that a BlockStore keeps. Block i is on the device in slot i%2, so that one can
// be brought while its neighbor computes.
type elsewhere struct {
	store  BlockStore
	device *tensor.Device
	bytes  []int              // of each block
	places map[*nn.Param]spot // of the blocks' parameters
	slots  [2]*tensor.Slab    // the second is nil if there is one block
	holds  [2]int             // the block that is in a slot; none: its content is undefined
	ahead  int                // the block that is on its way, or none
	wait   func() error       // for that one
	last   int                // the block that was used last, or none
	left   bool               // nobody waits for blocks any more (AbandonBlocks)
}

// spot is where in a block's bytes a parameter begins.
type spot struct{ layer, at int }

const none = -1

// layout is how a parameter is stored.
type layout struct {
	dt    tensor.DType
	shape []int
	lying []byte // its bytes, if they are to be used where they lie
	stays bool   // it would be so, were it there (on a device without values)
}

// borrow is a tensor of what is used where it lies, as far as the device can, and of new memory.
func (l layout) borrow(d *tensor.Device) *tensor.Tensor {
	if l.lying != nil || l.stays && d.IsMeta() {
		if t, ok := d.Borrow(l.dt, l.lying, l.shape...); ok {
			return t
		}
	}
	return d.NewExact(l.dt, l.shape...)
}

// place gives the parameters of the model memory on its device, as layoutOf says, and freezes them: those of
// the blocks in slots, where a store has been given.
func (m *Model) place(store BlockStore, layoutOf func(name string, p *nn.Param) (layout, error)) error {
	d, e := m.device, &elsewhere{store: store, places: map[*nn.Param]spot{}, ahead: none, last: none}
	if e.device = d; store != nil {
		m.elsewhere = e
		e.forget()
		for layer, block := range m.Blocks {
			for _, p := range nn.Params(block) {
				e.places[p] = spot{layer, 0}
			}
		}
		e.bytes = make([]int, len(m.Blocks))
	}
	types, lying := map[*nn.Param]layout{}, map[*nn.Param][]byte{}
	var row neighbors
	for name, p := range nn.Params(m) {
		l, err := layoutOf(name, p)
		if err != nil {
			return err
		}
		p.Frozen = true
		s, inBlock := e.places[p]
		switch {
		case inBlock:
		case l.lying == nil && !l.stays && len(l.shape) == 2 && !d.Launches():
			row.add(d, name, p, l)
			continue
		default:
			if p.Value = l.borrow(d); p.Value.Borrowed() {
				lying[p] = l.lying
			}
			continue
		}
		s.at = (e.bytes[s.layer] + tensor.SlabAlign - 1) / tensor.SlabAlign * tensor.SlabAlign
		e.places[p], types[p] = s, l
		e.bytes[s.layer] = s.at + l.dt.Bytes(tensor.Numel(l.shape))
	}
	row.place(d)
	if len(lying) > 0 {
		m.readAhead(lying)
	}
	if store == nil {
		return d.Err()
	}
	m.need = e.need
	if err := e.makeSlots(); err != nil {
		return err
	}
	for p, s := range e.places {
		p.Value = e.slots[s.layer%2].Tensor(s.at, types[p].dt, types[p].shape...)
		p.Fetch = func() { e.need(s.layer) }
	}
	return d.Err()
}

// makeSlots makes both of them, each large enough for any block that comes into it.
func (e *elsewhere) makeSlots() error {
	var most [2]int
	for layer, bytes := range e.bytes {
		most[layer%2] = max(most[layer%2], bytes)
	}
	for i, bytes := range most {
		if bytes > 0 {
			e.slots[i] = e.device.NewSlab(bytes)
		}
	}
	e.device.BeforeEnd(func() {
		if e.ahead != none && !e.left {
			_ = e.wait()
		}
	})
	return e.store.Begin(e.device, e.bytes)
}

// put hands a parameter that was just loaded to the store; one that is in no block stays where it is.
func (e *elsewhere) put(p *nn.Param) error {
	if e == nil {
		return nil
	}
	s, ok := e.places[p]
	if !ok {
		return nil
	}
	if own := e.slots[s.layer%2].Bytes(); own != nil {
		return e.store.Put(s.layer, s.at, own[s.at:s.at+p.Value.Bytes()])
	}
	data, err := p.Value.RawBytes()
	if err != nil {
		return err
	}
	return e.store.Put(s.layer, s.at, data)
}

// BlockRoom is how many bytes of blocks the device has at a time, of a model that keeps them elsewhere
// (LoadOptions.Blocks); 0 of any other.
func (m *Model) BlockRoom() (n int) {
	if m.elsewhere == nil {
		return 0
	}
	for _, slot := range m.elsewhere.slots {
		if slot != nil {
			n += slot.Len()
		}
	}
	return n
}

// ForgetBlocks has every block fetched anew when it is next used, after the one that is on its way has come. Nothing
// happens where the blocks are on the device.
func (m *Model) ForgetBlocks() {
	if e := m.elsewhere; e != nil {
		e.arrive()
		e.forget()
	}
}

// FetchBlock brings the weights of one block to the device and waits for them: for a store whose other ends ask for
// that block. The model must keep them elsewhere (LoadOptions.Blocks).
func (m *Model) FetchBlock(layer int) error {
	m.elsewhere.fetch(layer)
	m.elsewhere.arrive()
	return m.device.Err()
}

// AbandonBlocks leaves the memory that blocks are fetched into to a store that does not come to an end: it is there
// until the program ends. The model is of no use any more.
func (m *Model) AbandonBlocks() {
	if e := m.elsewhere; e != nil {
		e.left = true
		for _, slot := range e.slots {
			if slot != nil {
				slot.Abandon()
			}
		}
	}
}

// forget makes the slots' content undefined.
func (e *elsewhere) forget() { e.holds, e.last = [2]int{none, none}, none }

// need has a block's weights in its slot, and begins to bring those of the one that will probably be next. What is
// wrong with them is the device's error.
func (e *elsewhere) need(layer int) {
	if layer == e.last {
		return
	}
	if e.holds[layer%2] != layer {
		if e.ahead != layer {
			e.fetch(layer)
		}
		e.arrive()
	}
	next := following(layer, e.last)
	e.last = layer
	if next >= 0 && next < len(e.bytes) && e.holds[next%2] != next && e.ahead != next {
		e.fetch(next)
	}
}

// following is the block that is probably used after one, which may be none of the model.
func following(layer, last int) int {
	if layer > last || layer == 0 { // forward, or at its beginning
		return layer + 1
	}
	return layer - 1
}

// fetch begins to bring a block into its slot, whose content nobody needs any more.
func (e *elsewhere) fetch(layer int) {
	e.arrive()
	e.holds[layer%2] = none
	e.ahead, e.wait = layer, func() error { return nil }
	if e.device.IsMeta() {
		return
	}
	e.wait = e.store.Fetch(layer, e.slots[layer%2].Fill(e.bytes[layer]))
}

// arrive waits for the block that is on its way, if one is.
func (e *elsewhere) arrive() {
	layer := e.ahead
	if layer == none {
		return
	}
	e.ahead = none
	_ = e.device.Flush() // it has what to do meanwhile; an error stays
	if err := e.wait(); err != nil {
		e.device.SetErr(fmt.Errorf("llama: the weights of block %d: %w", layer, err))
		return
	}
	if !e.device.IsMeta() {
		e.slots[layer%2].Filled()
	}
	e.holds[layer%2] = layer
}

// held is x, a block's result, which has the block's weights there again before Backward goes into it.
func (m *Model) held(x *nn.Var, layer int) *nn.Var {
	if m.need == nil {
		return x
	}
	return autograd.Apply(held{m.need, layer}, x)[0]
}

type held struct {
	need  func(layer int)
	layer int
}

func (held) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return []*tensor.Tensor{f.In[0].Reshape(f.In[0].Shape()...)}, nil
}

// BackwardReads implements autograd.Selective.
func (held) BackwardReads([]bool) autograd.Reads { return autograd.Reads{} }

func (h held) Backward(b *autograd.Backward) {
	h.need(h.layer)
	b.SetGrad(0, b.DOut[0])
}

// Examples is empty: it computes nothing.
func (held) Examples() []autograd.Example { return nil }
