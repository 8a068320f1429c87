package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

const fillBytes = 64

// streamed does what a model does whose blocks take turns in two slabs: each is filled while the one before computes.
func streamed(t *testing.T, b *backend, blocks int) {
	t.Helper()
	var slabs [2]tensor.Buffer
	for i := range slabs {
		slabs[i] = mustAlloc(t, b, fillBytes)
	}
	y := tensor.Arg{Buf: mustAlloc(t, b, fillBytes), N: fillBytes / 4, DType: tensor.F32}
	write := func(room func() ([]byte, error), block int) {
		t.Helper()
		to, err := room()
		if err != nil || len(to) != fillBytes {
			t.Fatalf("%d bytes of room, want %d (%v)", len(to), fillBytes, err)
		}
		to[0] = byte(block)
	}
	room := b.Fill(slabs[0], fillBytes)
	for i := range blocks {
		write(room, i)
		b.Filled(slabs[i%2])
		room = b.Fill(slabs[(i+1)%2], fillBytes)
		x := tensor.Arg{Buf: slabs[i%2], N: fillBytes / 4, DType: tensor.F32}
		b.Run(kernels.Scale{N: fillBytes / 4}, []tensor.Arg{y, x})
	}
}

// On a card a block's transfer waits for the kernels that used its slab, not for those of the block before, and the
// block's own kernels wait for it.
func TestFillsRunBesideKernels(t *testing.T) {
	hw := newNull()
	b := newBackend(hw, Options{})
	streamed(t, b, 4)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"transfer 1 of 64 after 0", "1 after 1",
		"transfer 2 of 64 after 0", "2 after 2",
		"transfer 3 of 64 after 1", "3 after 3",
		"transfer 4 of 64 after 2", "4 after 4",
	}
	if !slices.Equal(hw.order, want) {
		t.Errorf("submissions %q, want %q", hw.order, want)
	}
	if got := b.Counts().Transfers; got != 4 {
		t.Errorf("%d transfers are counted, want 4", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A buffer that is given back, and a device that is closed, wait for the transfer that nothing else waits for.
func TestTransfersEndBeforeTheirMemory(t *testing.T) {
	for name, end := range map[string]func(*backend, tensor.Buffer){
		"freed": func(b *backend, x tensor.Buffer) {
			if b.Free(x); b.memory.count != newNull().lim.Allocations-slots {
				t.Errorf("room for %d blocks once the staging memory is gone", b.memory.count)
			}
		},
		"closed": func(*backend, tensor.Buffer) {},
		"read":   func(b *backend, _ tensor.Buffer) { b.finish() },
	} {
		hw := newNull()
		b := newBackend(hw, Options{})
		x := mustAlloc(t, b, fillBytes)
		b.Fill(x, fillBytes)
		b.Filled(x)
		end(b, x)
		if name != "closed" && hw.landed != 1 {
			t.Errorf("%s: transfer %d is the last that was waited for, want 1", name, hw.landed)
		}
		if err := b.Close(); err != nil || hw.landed != 1 {
			t.Errorf("%s: %v; transfer %d was waited for, want 1", name, err, hw.landed)
		}
	}
}

// Where the device shares the host's memory, the room is the buffer itself once its kernels have run, and nothing is
// copied, unless Staged asks for it.
func TestFillsOfSharedMemory(t *testing.T) {
	for _, staged := range []bool{false, true} {
		hw := newNull()
		hw.shares = true
		b := newBackend(hw, Options{Staged: staged})
		streamed(t, b, 3)
		transfers, allocations := 0, 1
		if staged {
			transfers, allocations = 3, 3
		}
		if got := b.Counts().Transfers; got != transfers || len(hw.live) != allocations {
			t.Errorf("staged %v: %d transfers and %d allocations, want %d and %d", staged, got, len(hw.live), transfers,
				allocations)
		}
		if !staged && !slices.Equal(hw.order, []string{"1 after 0", "2 after 0"}) {
			t.Errorf("submissions %q", hw.order)
		}
		x := mustAlloc(t, b, fillBytes)
		b.Run(kernels.Fill{N: fillBytes / 4}, []tensor.Arg{{Buf: x, N: fillBytes / 4, DType: tensor.F32}})
		room := b.Fill(x, fillBytes)
		to, err := room()
		own := x.(*buffer).block.host[x.(*buffer).at:]
		if shared := err == nil && &to[0] == &own[0]; shared == staged {
			t.Errorf("staged %v: the room is the buffer's memory: %v (%v)", staged, shared, err)
		}
		if !staged && len(hw.flights) > 0 {
			t.Errorf("the buffer was given to the host while submissions %v may use it", hw.flights)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A fill that goes wrong half way is the device's error, and everything is given back.
func TestFillsThatFail(t *testing.T) {
	fail := func(name, want string, hw *null, between func(b *backend, x tensor.Buffer)) {
		t.Helper()
		b := newBackend(hw, Options{})
		x := mustAlloc(t, b, fillBytes)
		between(b, x)
		if err := b.Close(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if len(hw.live) > 0 || !hw.closed {
			t.Errorf("%s: %d blocks remain", name, len(hw.live))
		}
	}
	full := newNull()
	full.free, full.silent = smallestBlock+16, true
	fail("no staging memory", "out of memory", full, func(b *backend, x tensor.Buffer) {
		room, err := b.Fill(x, fillBytes)()
		if room != nil || !errors.Is(err, tensor.ErrOutOfMemory) {
			t.Errorf("room of %d bytes, %v", len(room), err)
		}
		b.Filled(x)
	})
	lost := newNull()
	fail("lost while a transfer runs", ErrLost.Error(), lost, func(b *backend, x tensor.Buffer) {
		b.Fill(x, fillBytes)
		b.Filled(x)
		lost.lost = 1
		if _, err := b.Fill(x, fillBytes)(); !errors.Is(err, ErrLost) {
			t.Errorf("the room of a lost device: %v", err)
		}
		b.fail(fmt.Errorf("%w", ErrLost))
	})
	// Nobody writes what a room is for: the next fill goes on as if it had not begun.
	hw := newNull()
	b := newBackend(hw, Options{})
	x := mustAlloc(t, b, fillBytes)
	b.Fill(x, fillBytes)
	b.Fill(x, 8)
	b.Filled(x)
	if err := b.Close(); err != nil || !slices.Equal(hw.order, []string{"transfer 1 of 8 after 0"}) {
		t.Errorf("%q, %v", hw.order, err)
	}
}

// What somebody may still write to is neither given back nor unmapped.
func TestAbandonedFill(t *testing.T) {
	hw := newNull()
	b := newBackend(hw, Options{})
	x := mustAlloc(t, b, fillBytes)
	b.Fill(x, fillBytes)
	b.Abandon(x)
	b.Free(x)
	if err := b.Close(); err != nil || len(hw.live) != 2 || hw.closed {
		t.Errorf("%d blocks are left of 2 (%v); closed: %v", len(hw.live), err, hw.closed)
	}
}
