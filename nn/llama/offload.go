package llama

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// offloaded prepares LoadOptions.Offload for a device: one whose memory is not the process's has the weights of two
// blocks at a time.
func (o LoadOptions) offloaded(d *tensor.Device) (LoadOptions, error) {
	switch {
	case !o.Offload:
		return o, nil
	case o.Blocks != nil:
		return o, fmt.Errorf("llama: weights that stay in their file, and in a BlockStore: want one of the two")
	case !mapped.Paged:
		return o, fmt.Errorf("llama: weights that stay in their file: want a system that reads mapped files in where they are "+
			"touched (Linux, macOS, a BSD), got %s", runtime.GOOS)
	}
	if !d.KeepsScratch() {
		o.Blocks = &hostBlocks{}
	}
	return o, nil
}

// lying are the values of a tensor where they lie in the file, if they stay there.
func (o LoadOptions) lying(name string, t info) []byte {
	if !o.Offload || t.DType != o.loadedType(name, t) {
		return nil
	}
	return t.Lying
}

// hostBlocks is a BlockStore in the process's memory: of weights in the mapped file where they need no change, and of
// copies of the others.
type hostBlocks struct {
	parts [][]hostPart // of each block
}

// hostPart is the bytes of a block from one on.
type hostPart struct {
	at   int
	data []byte
}

// Begin implements BlockStore.
func (h *hostBlocks) Begin(_ *tensor.Device, bytes []int) error {
	h.parts = make([][]hostPart, len(bytes))
	return nil
}

// Put implements BlockStore.
func (h *hostBlocks) Put(layer, at int, data []byte) error {
	h.keep(layer, at, append([]byte(nil), data...))
	return nil
}

// keep is Put for bytes that stay where they are.
func (h *hostBlocks) keep(layer, at int, data []byte) {
	h.parts[layer] = append(h.parts[layer], hostPart{at, data})
}

// Fetch implements BlockStore.
func (h *hostBlocks) Fetch(layer int, room func() ([]byte, error)) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		done <- mapped.Guard(func() error {
			to, err := room()
			if err != nil {
				return err
			}
			for _, p := range h.parts[layer] {
				copy(to[p.at:], p.data)
			}
			return nil
		})
	}()
	return func() error { return <-done }
}

// readAhead has the system read the weights of the block that is probably next while one computes, of a model whose
// weights are used where they lie in the file: a page that is waited for when it is touched is read alone, and slowly.
type readAhead struct {
	blocks [][][]byte // the weights in the file of each block
	last   int        // the block that was used last, or none
	busy   sync.Mutex // while the system is being asked
}

// readAhead notes which weights of the model lie in the file.
func (m *Model) readAhead(lying map[*nn.Param][]byte) {
	r := &readAhead{blocks: make([][][]byte, len(m.Blocks)), last: none}
	for layer, block := range m.Blocks {
		for _, p := range nn.Params(block) {
			if data, ok := lying[p]; ok {
				r.blocks[layer] = append(r.blocks[layer], data)
				p.Fetch = func() { r.need(layer) }
			}
		}
	}
	m.need = r.need
}

func (r *readAhead) need(layer int) {
	if layer == r.last {
		return
	}
	next := following(layer, r.last)
	r.last = layer
	if next < 0 || next >= len(r.blocks) || !r.busy.TryLock() { // a disk that is behind is not asked for more
		return
	}
	go func() {
		defer r.busy.Unlock()
		for _, data := range r.blocks[next] {
			mapped.WillNeed(data)
		}
	}()
}
