package llama

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// memoryStore keeps blocks in memory, fills rooms in goroutines, and notes what it is asked for.
type memoryStore struct {
	blocks  [][]byte
	fetched []int
	fail    int // the block that cannot be had; none
	open    bool
}

func (s *memoryStore) Begin(_ *tensor.Device, bytes []int) error {
	for _, n := range bytes {
		s.blocks = append(s.blocks, make([]byte, n))
	}
	return nil
}

func (s *memoryStore) Put(layer, at int, data []byte) error {
	copy(s.blocks[layer][at:], data)
	return nil
}

func (s *memoryStore) Fetch(layer int, room func() ([]byte, error)) (wait func() error) {
	if s.open {
		panic("two at a time")
	}
	s.open = true
	s.fetched = append(s.fetched, layer)
	done := make(chan error)
	go func() {
		to, err := room()
		if err == nil && copy(to, s.blocks[layer]) != len(to) {
			err = fmt.Errorf("a room of %d bytes for %d", len(to), len(s.blocks[layer]))
		}
		done <- err
	}()
	return func() error {
		err := <-done
		if s.open = false; layer == s.fail {
			err = fmt.Errorf("it is gone")
		}
		return err
	}
}

// lossAndGradient are the bits of the loss and of the gradient of the first block's norm.
func lossAndGradient(t *testing.T, m *Model) []byte {
	t.Helper()
	d := m.Device()
	p := m.Blocks[0].InputNorm.Weight
	scope := d.Scope()
	defer scope.Close()
	p.Frozen, p.Grad = false, d.FromFloat32s(tensor.F32, make([]float32, p.Value.Numel()), p.Value.Shape()...)
	tape := autograd.NewTape(d)
	ids := [][]int32{text(1, 9, m.Config.Vocab), text(2, 7, m.Config.Vocab)}
	b := NewBatch(ids, ids)
	loss := m.Loss(b, b.Counted())
	tape.Keep(loss)
	tape.Backward(loss)
	tape.Close()
	all := []byte{}
	for _, x := range []*tensor.Tensor{loss.Tensor(), p.Grad} {
		raw, err := x.RawBytes()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw...)
	}
	p.Frozen, p.Grad = true, nil
	return all
}

// A model whose blocks are elsewhere computes what one on the device does, bit for bit, and asks for each block
// before it is used: all but the two that the direction's end has left there.
func TestBlocksElsewhere(t *testing.T) {
	c := small("llama")
	c.Layers, c.Hidden, c.Intermediate = 5, 32, 64
	d := testdevice.Open(t, 2)
	dir := t.TempDir()
	if err := create(t, d, c).Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, o := range []LoadOptions{{}, {DType: tensor.BF16}, {DType: tensor.Q4}} {
		for _, checkpointing := range []bool{false, true} {
			o.Blocks = nil
			whole, err := Load(t.Context(), d, dir, o)
			if err != nil {
				t.Fatal(err)
			}
			store := &memoryStore{fail: none}
			o.Blocks = store
			m, err := Load(t.Context(), d, dir, o)
			if err != nil {
				t.Fatal(err)
			}
			whole.Checkpointing, m.Checkpointing = checkpointing, checkpointing
			for range 2 {
				store.fetched = nil
				if !bytes.Equal(lossAndGradient(t, m), lossAndGradient(t, whole)) {
					t.Errorf("%s, checkpointing %v: other bits than a model on the device", o.DType, checkpointing)
				}
			}
			if want := []int{2, 3, 4, 2, 1, 0}; !slices.Equal(store.fetched, want) {
				t.Errorf("%s, checkpointing %v: blocks %v were fetched, want %v", o.DType, checkpointing, store.fetched, want)
			}
			sameParams(t, whole, m)
			if err := m.Save(t.TempDir()); err == nil {
				t.Error("a model whose blocks are elsewhere was saved")
			}
		}
	}
}

// sameParams compares the bits of all parameters, which Use has there.
func sameParams(t *testing.T, a, b *Model) {
	t.Helper()
	of := map[string][]byte{}
	for name, p := range nn.Params(a) {
		of[name], _ = p.Use().RawBytes()
	}
	for name, p := range nn.Params(b) {
		if got, err := p.Use().RawBytes(); err != nil || !bytes.Equal(got, of[name]) {
			t.Errorf("%s: other bytes (%v)", name, err)
		}
	}
}

// A block that cannot be had is the device's error, and names itself.
func TestBlocksThatAreGone(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := small("llama")
	c.Layers = 4
	dir := t.TempDir()
	if err := create(t, d, c).Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Load(t.Context(), d, dir, LoadOptions{Blocks: &memoryStore{fail: 2}})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch([][]int32{{1, 2, 3}}, nil)
	_, err = m.Logits(b).Tensor().Float32s()
	if want := "llama: the weights of block 2: it is gone"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Two blocks have room on the device, whatever the number of blocks.
func TestRoomOfBlocksElsewhere(t *testing.T) {
	live := func(layers int) int {
		d := device.MetaGPU()
		defer d.Close()
		c := small("llama")
		c.Layers = layers
		if _, err := Blank(d, c, LoadOptions{DType: tensor.Q8, Blocks: &memoryStore{}}); err != nil {
			t.Fatal(err)
		}
		return d.Stats().Live
	}
	if one, two, nine := live(1), live(2), live(9); nine != two || one >= two {
		t.Errorf("1, 2 and 9 blocks take %d, %d and %d bytes: want two blocks' at most", one, two, nine)
	}
}
