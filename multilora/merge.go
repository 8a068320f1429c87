package multilora

import (
	"fmt"
	"math"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// Merged tells what merging has done to one layer.
type Merged struct {
	Layer string
	// Change is |ΔW| / |W| (Frobenius norms).
	Change float64
	// Lost is the part of the change that rounding to the weight's storage lost:
	// |W' - (W + ΔW)| / |ΔW|.
	Lost float64
}

// Merge adds ΔW = scale Σ_i s_i B_i A_i to the weight of every adapted layer and detaches
// the adapter: the model now computes without it what it computed with it, but for
// rounding. Weights must be f32, f16 or bf16.
func (a *Adapter) Merge() ([]Merged, error) {
	for _, l := range a.layers {
		if w := l.base.Weight.Value; w.DType() != tensor.F32 && !w.DType().Is16Bit() {
			return nil, fmt.Errorf("multilora: merging layer %s: want a weight in f32, f16 or bf16, got %s", l.name, w)
		}
	}
	a.Detach()
	var report []Merged
	for _, l := range a.layers {
		m, err := l.merge()
		if err != nil {
			return report, fmt.Errorf("multilora: merging layer %s: %w", l.name, err)
		}
		report = append(report, m)
	}
	return report, nil
}

func (l adapted) merge() (Merged, error) {
	w := l.base.Weight.Value
	d, n := w.Device(), w.Numel()
	scope := d.Scope()
	defer scope.Close()

	delta, before, after := d.New(tensor.F32, w.Shape()...), d.New(tensor.F32, w.Shape()...), d.New(tensor.F32, w.Shape()...)
	d.Run(shaders.Matmul{Batch: 1, M: w.Dim(0), N: w.Dim(1), K: l.linear.A.Value.Dim(0)}, delta, l.linear.scaledB(), l.linear.A.Value, nil)
	d.Run(shaders.Cast{N: n}, before, w)
	changed, original := norm(delta), norm(before)
	d.Run(shaders.Add{N: n, M: n}, before, before, delta)
	d.Run(shaders.Cast{N: n}, w, before)
	d.Run(shaders.Cast{N: n}, after, w)
	d.Run(shaders.Sub{N: n, M: n}, after, after, before)
	lost := norm(after)
	return Merged{l.name, ratio(changed(), original()), ratio(lost(), changed())}, d.Err()
}

// norm starts computing the Frobenius norm of x; the function it gives waits for it.
func norm(x *tensor.Tensor) func() float64 {
	const block = 1 << 16
	d, n := x.Device(), x.Numel()
	partial := d.New(tensor.F32, (n+block-1)/block)
	d.Run(shaders.SumSquares{N: n, Block: block}, partial, x)
	return func() float64 {
		sums, err := partial.Float64s()
		if err != nil {
			return math.NaN() // the device keeps the error
		}
		s := 0.0
		for _, v := range sums {
			s += v
		}
		return math.Sqrt(s)
	}
}

// ratio is a / b, and 0 where nothing is compared with nothing.
func ratio(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a / b
}
