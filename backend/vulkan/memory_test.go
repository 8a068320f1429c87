package vulkan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Buffers never overlap, whatever is freed and in which order, and when all are gone
// the block is one hole again.
func TestBuffersNeverOverlap(t *testing.T) {
	hw := newNull()
	a := arena{hw: hw, most: 1 << 30, count: 100}
	rnd := random.NewStream(9, random.Test, 0, 0)
	var live []*buffer
	for range 4000 {
		if len(live) > 0 && rnd.IntN(5) < 2 {
			i := rnd.IntN(len(live))
			a.free(live[i], 1)
			live = slices.Delete(live, i, i+1)
			continue
		}
		size := rnd.IntN(60_000)
		b, err := a.alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		s := b.span(0, b.size)
		if b.size < size || s.from%alignment != 0 || s.from < b.block.address ||
			s.to > b.block.address+uint64(b.block.size) {
			t.Fatalf("%d bytes asked for, got %d at %#x", size, b.size, s.from)
		}
		for _, other := range live {
			if s.overlaps(other.span(0, other.size)) {
				t.Fatal("two buffers overlap")
			}
		}
		live = append(live, b)
	}
	for _, b := range live {
		a.free(b, 1)
	}
	for _, b := range a.blocks {
		if len(b.free) != 1 || b.free[0] != (hole{0, b.size}) {
			t.Errorf("an empty block has the holes %v", b.free)
		}
	}
	if a.reap(1, 0); a.total != 0 || len(hw.live) != 0 {
		t.Errorf("%d bytes in %d blocks remain", a.total, len(hw.live))
	}
}

func TestBlocksGrowAndAreReusedOnlyWhenFinished(t *testing.T) {
	hw := newNull()
	b := newBackend(hw, Options{})
	var bufs []tensor.Buffer
	for range 3 {
		buf, err := b.Alloc(12 << 20)
		if err != nil {
			t.Fatal(err)
		}
		bufs = append(bufs, buf)
	}
	if got := []int{b.memory.blocks[0].size >> 20, b.memory.blocks[1].size >> 20,
		b.memory.blocks[2].size >> 20}; !slices.Equal(got, []int{16, 16, 32}) {
		t.Errorf("blocks of %v MiB", got)
	}
	b.Write(bufs[2], 0, make([]byte, 4))
	for _, buf := range bufs {
		b.Free(buf)
	}
	if err := b.Read(tensor.Read{Dst: make([]byte, 4), Src: mustAlloc(t, b, 4)}); err != nil {
		t.Fatal(err)
	}
	// The reading waited for every command: of the empty blocks one is kept.
	if b.memory.total != 32<<20 || len(b.memory.blocks) != 2 {
		t.Errorf("%d MiB in %d blocks", b.memory.total>>20, len(b.memory.blocks))
	}
	if err := b.Close(); err != nil || !hw.closed {
		t.Error(err)
	}
}

func mustAlloc(t *testing.T, b *backend, n int) tensor.Buffer {
	t.Helper()
	buf, err := b.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

func TestMemoryLimits(t *testing.T) {
	tests := []struct {
		name  string
		o     Options
		free  int // of the hardware
		size  int
		out   bool // ErrOutOfMemory
		limit int  // as Limit says
		words []string
	}{
		{"own limit", Options{MemoryLimit: 8 << 20}, -1, 9 << 20, true, 8 << 20,
			[]string{"9.0 MiB asked for", "8.0 MiB free", "need less"}},
		{"the device's budget", Options{}, 8 << 20, 9 << 20, true, 8 << 20,
			[]string{"9.0 MiB asked for", "8.0 MiB free"}},
		{"largest allocation", Options{Limits: Limits{Allocation: 1 << 20}}, -1, 2 << 20, false, 0,
			[]string{"2.0 MiB", "1.0 MiB", "smaller tensors"}},
	}
	for _, tt := range tests {
		hw := newNull()
		hw.free = tt.free
		b := newBackend(hw, tt.o)
		buf, err := b.Alloc(tt.size)
		if err == nil || buf != nil || errors.Is(err, tensor.ErrOutOfMemory) != tt.out {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, w := range tt.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", tt.name, err, w)
			}
		}
		if b.Limit() != tt.limit {
			t.Errorf("%s: Limit is %d, want %d", tt.name, b.Limit(), tt.limit)
		}
		// What fits still fits, in a block as large as is left.
		if _, err := b.Alloc(1 << 20); err != nil {
			t.Errorf("%s: 1 MiB: %v", tt.name, err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Small tensors take all that a device has, in few blocks: drivers may take no more than 4096.
// Whether the driver tells beforehand what is free does not matter.
func TestManySmallTensorsInFewBlocks(t *testing.T) {
	const room, size = 100 << 20, 4096
	for _, tells := range []bool{true, false} {
		hw := newNull()
		hw.free, hw.silent = room, !tells
		b := newBackend(hw, Options{})
		n := 0
		for ; ; n++ {
			if _, err := b.Alloc(size); errors.Is(err, tensor.ErrOutOfMemory) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n < room/size*99/100 || len(b.memory.blocks) > 200 {
			t.Errorf("%d tensors in %d blocks, want some %d in at most 200 (the driver tells: %t)", n,
				len(b.memory.blocks), room/size, tells)
		}
	}
}

func TestNumberOfAllocations(t *testing.T) {
	b := newBackend(newNull(), Options{Limits: Limits{Allocations: slots + 2}})
	x, y := mustAlloc(t, b, 16<<20), mustAlloc(t, b, 16<<20)
	_, err := b.Alloc(1)
	if want := "the device takes 5 allocations, and 2 blocks with 32.0 MiB"; !errors.Is(err, tensor.ErrOutOfMemory) ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	b.Free(x)
	mustAlloc(t, b, 16<<20)
	b.Free(y)
	mustAlloc(t, b, 32<<20) // in the place of an empty block
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Memory that is free but in blocks of the wrong size is given back and asked for anew.
func TestEmptyBlocksMakeRoom(t *testing.T) {
	hw := newNull()
	hw.free = 36<<20 + stagingBytes
	b := newBackend(hw, Options{})
	x, y := mustAlloc(t, b, 16<<20), mustAlloc(t, b, 16<<20)
	b.Write(x, 0, make([]byte, 64)) // a command that is not yet submitted
	b.Free(x)
	b.Free(y)
	big := mustAlloc(t, b, 33<<20)
	if len(hw.flights) != 0 {
		t.Error("blocks were released that a submission was using")
	}
	b.Free(big)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
