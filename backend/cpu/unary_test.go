package cpu_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Far from 0 the slope of GELU is 0 or 1, in loops and in vectors, also where powers overflow.
func TestGELUTanhGradFarFromZero(t *testing.T) {
	for _, plain := range []bool{true, false} {
		d := openDevice(t, cpu.Options{PlainLoops: plain})
		for dt, far := range map[tensor.DType]float64{tensor.F32: 3e38, tensor.F64: 1e300, tensor.BF16: 3e38, tensor.F16: 6e4} {
			z := d.FromFloat64s(dt, []float64{-far, far, -200, 200}, 4)
			dy, dx := d.FromFloat64s(dt, []float64{2, 2, 2, 2}, 4), d.New(dt, 4)
			d.Run(kernels.UnaryGrad{N: 4, Func: kernels.FuncGELUTanh}, dx, dy, z)
			got, err := dx.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			if want := []float64{0, 2, 0, 2}; !slices.Equal(got, want) {
				t.Errorf("%s, plain %t: %v, want %v", dt, plain, got, want)
			}
		}
	}
}
