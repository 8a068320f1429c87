package bench

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// A wrong element is noticed, whatever is wrong with it.
func TestDeviation(t *testing.T) {
	d, err := device.OpenWith("cpu", device.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	g := gemmMeter{device: d, stock: newStock(1)}
	for _, k := range []kernels.Matmul{
		{Batch: 1, M: 3, N: 32, K: 64},
		{Batch: 1, M: 3, N: 32, K: 64, TransA: true},
		{Batch: 1, M: 3, N: 32, K: 64, TransB: true},
	} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8, tensor.Q4} {
			x, err := g.operands(k, dt)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, right bool) {
				t.Helper()
				off, err := g.deviation(k, x)
				if p := (Product{Deviation: off}); err != nil || p.Right() != right {
					t.Errorf("%+v in %s, %s: deviation %v, error %v", k, dt, what, off, err)
				}
			}
			d.Run(k, x.c, x.a, x.b, nil)
			check("as computed", true)
			last := x.c.View(x.c.Numel()-1, 1)
			last.SetFloat32s([]float32{1e3})
			check("with another last element", false)
			last.SetFloat32s([]float32{float32(math.NaN())})
			check("with NaN", false)
		}
	}
}
