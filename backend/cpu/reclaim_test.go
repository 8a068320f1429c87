package cpu

import (
	"testing"

	"github.com/agora-ml/agora/tensor"
)

// Memory for widening takes the place of what the device keeps for later, before it fails.
func TestWideningDropsThePool(t *testing.T) {
	const mib = 1 << 20
	b, err := Open(Options{Threads: 1, MemoryLimit: 6 * mib})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	scope := d.Scope()
	d.New(tensor.F32, mib) // 4 MiB, which the pool keeps
	scope.Close()
	if s := d.Stats(); s.Pooled < 4*mib {
		t.Fatalf("the pool has %d bytes", s.Pooled)
	}
	c := b.(*backend)
	if c.wideBuffer(0, mib); c.err != nil {
		t.Errorf("4 MiB beside a pool of 4, of 6 in all: %v", c.err)
	}
	if s := d.Stats(); s.Pooled != 0 || s.Scratch < 4*mib {
		t.Errorf("%d bytes in the pool, %d of scratch", s.Pooled, s.Scratch)
	}
	if c.wideBuffer(1, mib); c.err == nil {
		t.Error("8 MiB within a limit of 6")
	}
}
