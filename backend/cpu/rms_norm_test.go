package cpu_test

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// A sum of squares that float32 cannot hold is one of float64 in the fast version, and makes zeros in the specification, as on
// GPUs and in PyTorch (2.14 on a CPU: F.rms_norm of 3e38 throughout is 0, and NaN where an element is infinite).
func TestRMSNormOfLargeNumbers(t *testing.T) {
	const dim = 40
	inf := float32(math.Inf(1))
	for _, c := range []struct{ x, last, fast, plain float32 }{
		{1e18, 1e18, 1, 1},
		{1e20, 1e20, 1, 0},
		{3e38, 3e38, 1, 0},
		{3e38, inf, 0, 0}, // but for the last, which is NaN
	} {
		for _, plain := range []bool{false, true} {
			b, err := cpu.Open(cpu.Options{Threads: 1, PlainLoops: plain})
			if err != nil {
				t.Fatal(err)
			}
			d := tensor.NewDevice(b)
			x, w := make([]float32, dim), make([]float32, dim)
			for i := range x {
				x[i], w[i] = c.x, 1
			}
			x[dim-1] = c.last
			y := d.New(tensor.F32, dim)
			d.Run(kernels.RMSNorm{Rows: 1, Dim: dim, Eps: 1e-5}, y, nil, d.FromFloat32s(tensor.F32, x, dim), d.FromFloat32s(tensor.F32, w, dim))
			got, err := y.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			want := c.fast
			if plain {
				want = c.plain
			}
			for i, v := range got {
				if isNaN := v != v; isNaN != (x[i] == inf) || !isNaN && !(math.Abs(float64(v-want)) <= 1e-5) {
					t.Errorf("rows of %g, the last %g, loops %t: y[%d] = %g, want %g", c.x, c.last, plain, i, v, want)
				}
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
