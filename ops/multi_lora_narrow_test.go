package ops

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// TestMultiLoRAInHalves compares an adapter beside f16 activations with one of f32 that sees the same numbers, with the
// scales s from those after a first step on. The gradient of y has the size of the smallest normal half: with small s,
// most of u's is below all halves.
func TestMultiLoRAInHalves(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, in, out = 96, 128, 80
		o := MultiLoRA{Modules: 3, Rank: 8, Scale: 2}
		rank := o.Modules * o.Rank
		for _, s := range []float32{1e-4, 1e-3, 1e-2, 1} {
			got := map[tensor.DType][][]float32{}
			for _, dt := range []tensor.DType{tensor.F16, tensor.F32} {
				tape := autograd.NewTape(d)
				of := func(seed uint64, dt tensor.DType, size float32, rows, cols int) *tensor.Tensor {
					data := randomHeads(seed, 1, rows, 1, cols).data
					for i := range data {
						data[i] *= size
					}
					return d.FromFloat32s(dt, data, rows, cols)
				}
				halves := func(t *tensor.Tensor) *tensor.Tensor { // the same numbers in both
					if dt == tensor.F16 {
						return t
					}
					to := d.New(dt, t.Shape()...)
					d.Run(kernels.Cast{N: t.Numel()}, to, t)
					return to
				}
				x := tape.Leaf(halves(of(1, tensor.F16, 1, rows, in)))
				w := autograd.Const(d.FromFloat32s(dt, make([]float32, out*in), out, in)) // y is the adapter's
				a, b := tape.Leaf(of(2, tensor.F32, 0.1, rank, in)), tape.Leaf(of(3, tensor.F32, 0.2, out, rank))
				scales := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{s, -s, s}, o.Modules))
				y := MultiLoRALinear(x, w, nil, a, b, scales, o)
				tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{halves(of(4, tensor.F16, 6e-5, rows, out))})
				for _, v := range []*tensor.Tensor{y.Tensor(), tape.Grad(a), tape.Grad(b), tape.Grad(scales)} {
					data, err := v.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					got[dt] = append(got[dt], data)
				}
				tape.Close()
			}
			for i, name := range []string{"y", "gradient of a", "gradient of b", "gradient of s"} {
				var wrong, all float64
				for j, want := range got[tensor.F32][i] {
					wrong += math.Pow(float64(got[tensor.F16][i][j]-want), 2)
					all += math.Pow(float64(want), 2)
				}
				if e := math.Sqrt(wrong / all); !(e < 1e-3) {
					t.Errorf("s %g: %s differs by %.2g of its norm", s, name, e)
				}
			}
		}
	})
}
