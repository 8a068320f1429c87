package vulkan

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// Sizes of blocks. The first is small, and each further one as large as all before
// together, so that a small model takes little and a large one few blocks.
const (
	smallestBlock = 16 << 20
	largestBlock  = 1 << 30
	alignment     = 256 // of buffers
)

// arena cuts buffers from blocks of device memory.
type arena struct {
	hw     hardware
	limit  int // of all blocks; 0: what is there
	most   int // bytes of a block
	count  int // of blocks, at most
	blocks []*block
	total  int // bytes of all blocks
}

// block is one allocation and its free ranges, in order and never touching.
type block struct {
	memory
	size  int
	free  []hole
	empty uint64 // the submission being recorded when its last buffer went
}

type hole struct{ at, size int }

// buffer is what a tensor.Buffer of this backend is.
type buffer struct {
	block    *block
	at, size int
}

func (b *buffer) address() uint64 { return b.block.address + uint64(b.at) }

// span is n bytes of the buffer from byte off.
func (b *buffer) span(off, n int) span {
	from := b.address() + uint64(off)
	return span{from, from + uint64(n)}
}

// alloc gives size bytes of undefined content.
func (a *arena) alloc(size int) (*buffer, error) {
	size = (max(size, 1) + alignment - 1) &^ (alignment - 1)
	for _, b := range a.blocks {
		if buf := b.take(size); buf != nil {
			return buf, nil
		}
	}
	b, err := a.grow(size)
	if err != nil {
		return nil, err
	}
	return b.take(size), nil
}

// grow adds a block with room for size bytes.
func (a *arena) grow(size int) (*block, error) {
	if size > a.most {
		return nil, fmt.Errorf("a tensor of %s is larger than %s, the device's largest allocation: fewer rows in a "+
			"batch, or shorter ones, make smaller tensors", mib(size), mib(a.most))
	}
	if len(a.blocks) >= a.count {
		return nil, fmt.Errorf("%w: the device takes %d allocations, and %d blocks with %s are in use here",
			tensor.ErrOutOfMemory,
			a.count+slots, len(a.blocks), mib(a.total))
	}
	free := a.room()
	want := max(size, min(max(smallestBlock, a.total), largestBlock, a.most))
	if free >= 0 && want > free {
		// an eighth of the rest at a time: some hundred blocks, and most of it for larger tensors
		want = max(size, free/8&^(alignment-1))
	}
	if free >= 0 && want > free {
		return nil, fmt.Errorf("%w: %s asked for, %s free of the device's memory, %s in use here: fewer rows in a "+
			"batch, shorter ones, or checkpointing need less", tensor.ErrOutOfMemory, mib(size), mib(max(free, 0)),
			mib(a.total))
	}
	m, err := a.hw.allocate(want, false)
	for err != nil && want > size {
		want = max(size, want/8&^(alignment-1))
		m, err = a.hw.allocate(want, false)
	}
	if err != nil {
		return nil, err
	}
	b := &block{memory: m, size: want, free: []hole{{0, want}}}
	a.blocks = append(a.blocks, b)
	a.total += want
	return b, nil
}

// room is how many bytes of blocks can still be had; -1 where nobody says.
func (a *arena) room() int {
	free := a.hw.available()
	if a.limit > 0 && (free < 0 || free > a.limit-a.total) {
		free = a.limit - a.total
	}
	return free
}

// take cuts size bytes from the first hole that has room, or gives nil.
func (b *block) take(size int) *buffer {
	for i, h := range b.free {
		switch {
		case h.size < size:
			continue
		case h.size == size:
			b.free = slices.Delete(b.free, i, i+1)
		default:
			b.free[i] = hole{h.at + size, h.size - size}
		}
		return &buffer{block: b, at: h.at, size: size}
	}
	return nil
}

// free gives a buffer back; recording is the submission that may be using it last.
func (a *arena) free(buf *buffer, recording uint64) {
	b := buf.block
	i, _ := slices.BinarySearchFunc(b.free, buf.at, func(h hole, at int) int { return h.at - at })
	h := hole{buf.at, buf.size}
	if i < len(b.free) && b.free[i].at == h.at+h.size {
		h.size += b.free[i].size
		b.free = slices.Delete(b.free, i, i+1)
	}
	if i > 0 && b.free[i-1].at+b.free[i-1].size == h.at {
		b.free[i-1].size += h.size
	} else {
		b.free = slices.Insert(b.free, i, h)
	}
	buf.block = nil
	b.empty = recording
}

// reap gives blocks back to the device that no buffer is in and that submission done
// or an earlier one has used last; keep is how many empty ones stay for what comes next.
func (a *arena) reap(done uint64, keep int) {
	a.blocks = slices.DeleteFunc(a.blocks, func(b *block) bool {
		if len(b.free) != 1 || b.free[0].size != b.size || b.empty > done {
			return false
		}
		if keep > 0 {
			keep--
			return false
		}
		a.hw.release(b.memory)
		a.total -= b.size
		return true
	})
}

// close gives everything back, in use or not.
func (a *arena) close() {
	for _, b := range a.blocks {
		a.hw.release(b.memory)
	}
	a.blocks, a.total = nil, 0
}

func mib(bytes int) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
