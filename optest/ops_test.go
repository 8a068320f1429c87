package optest_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optest"
	"github.com/agora-ml/agora/tensor"
)

func open(t testing.TB, o cpu.Options) tensor.Backend {
	b, err := cpu.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpsGradients(t *testing.T) {
	d := tensor.NewDevice(open(t, cpu.Options{Threads: 2, PlainLoops: true}))
	optest.Gradients(t, d, ops.All())
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// Who computes a piece of a result must not change it.
func TestOpsSameBitsForAnyThreads(t *testing.T) {
	exact := optest.Limits{} // 0 for every dtype
	one := open(t, cpu.Options{Threads: 1})
	three := open(t, cpu.Options{Threads: 3})
	optest.Agree(t, one, three, ops.All(), exact)
	for _, b := range []tensor.Backend{one, three} {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpsFastAgreesWithPlain(t *testing.T) {
	plain := open(t, cpu.Options{Threads: 2, PlainLoops: true})
	fast := open(t, cpu.Options{Threads: 2})
	optest.Agree(t, plain, fast, ops.All(), optest.Strict)
	for _, b := range []tensor.Backend{plain, fast} {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkOps(b *testing.B) {
	d := tensor.NewDevice(open(b, cpu.Options{}))
	optest.Benchmark(b, d, ops.All())
	if err := d.Close(); err != nil {
		b.Error(err)
	}
}
