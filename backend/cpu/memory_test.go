package cpu

import (
	"testing"

	"github.com/agora-ml/agora/tensor"
)

// Close unmaps what is in use too: whoever opens one device after the other, each with
// a model on it, must not fill the memory.
func TestCloseFreesWhatIsInUse(t *testing.T) {
	b, err := Open(Options{Threads: 1, MemoryLimit: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if d := tensor.NewDevice(b); d.Stats().Limit != 64<<20 {
		t.Errorf("the device's limit is %d", d.Stats().Limit)
	}
	var big, small tensor.Buffer
	for _, buf := range []*tensor.Buffer{&big, &small} {
		bytes := 1 << 20
		if buf == &small {
			bytes = 1 << 10
		}
		if *buf, err = b.Alloc(bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if m := b.(*backend).memory; m.used != 0 || big.(*buffer).data != nil {
		t.Errorf("%d bytes in use after Close, %d of them in one buffer", m.used, len(big.(*buffer).data))
	}
}
