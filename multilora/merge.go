package multilora

import (
	"fmt"
	"math"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Merged tells what merging has done to one layer.
type Merged struct {
	Layer string `json:"layer"`
	// Change is |ΔW| / |W| (Frobenius norms).
	Change float64 `json:"change"`
	// Lost is the part of the change that rounding to the weight's storage lost:
	// |W' - (W + ΔW)| / |ΔW|.
	Lost float64 `json:"lost"`
}

// Merge adds ΔW = scale Σ_i s_i B_i A_i to the weight of every adapted layer and detaches
// the adapter, whose extra parameters become the model's: the model now computes without
// it what it computed with it, but for rounding. Weights must be f32, f16 or bf16. DoRA scales
// the weight's rows as well. Biases of B are added to the layers', which have one from then on:
// an error where the config.json of the model's family has no word for them. The
// configuration of a *llama.Model remembers the adapter (Config.Merged), so that it is not
// merged again by mistake. Unmerge is the way back.
func (a *Adapter) Merge() ([]Merged, error) {
	if a.merged != nil {
		return nil, errMerged
	}
	for _, l := range a.layers {
		if w := l.base.Weight.Value; w.DType() != tensor.F32 && !w.DType().Is16Bit() {
			return nil, fmt.Errorf("multilora: merging layer %s: want a weight in f32, f16 or bf16, got %s", l.name, w)
		}
		if l.base.Weight.Fetch != nil {
			return nil, fmt.Errorf("multilora: merging layer %s: want a weight that is on the device, got one elsewhere", l.name)
		}
	}
	for _, e := range a.extras {
		if err := e.check(); err != nil {
			return nil, err
		}
	}
	for _, r := range a.tokens {
		if w := r.base.Weight.Value; w.DType().IsQuantized() {
			return nil, fmt.Errorf("multilora: merging rows of %s: want a weight in f32, f16 or bf16, got %s", r.name, w)
		}
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	if err := a.giveBiases(); err != nil {
		return nil, err
	}
	if err := a.mark(); err != nil {
		return nil, err
	}
	a.detachLayers()
	for _, e := range a.extras {
		e.enter(true)
		e.own = *e.param
	}
	for _, r := range a.tokens {
		r.leave()
		if err := r.merge(); err != nil {
			return nil, fmt.Errorf("multilora: merging rows of %s: %w", r.name, err)
		}
	}
	var report []Merged
	for _, l := range a.layers {
		m, back, err := l.merge()
		if err != nil {
			return report, fmt.Errorf("multilora: merging layer %s: %w", l.name, err)
		}
		report, a.merged = append(report, m), append(a.merged, back)
	}
	return report, nil
}

func (l adapted) merge() (Merged, *corrections, error) {
	w := l.base.Weight.Value
	d := w.Device()
	scope := d.Scope()
	defer scope.Close()

	original, err := w.RawBytes()
	if err != nil {
		return Merged{}, nil, err
	}
	delta, gains := l.delta(), l.linear.gains()
	before := autograd.Const(cast(w, tensor.F32))
	exact := ops.Add(before, autograd.Const(delta))
	changed := norm(delta)
	if gains != nil {
		exact = ops.Mul(exact, inRows(gains, w.Dim(1)))
		changed = norm(ops.Sub(exact, before).Tensor())
	}
	was := norm(before.Tensor())
	assign(w, exact.Tensor())
	lost := norm(ops.Sub(autograd.Const(cast(w, tensor.F32)), exact).Tensor())
	report := Merged{l.name, ratio(changed(), was()), ratio(lost(), changed())}
	almost, err := l.subtract(delta, gains)
	if err != nil {
		return report, nil, err
	}
	back := correct(almost, original, w.DType().Bytes(1))
	if gains != nil {
		if back.gains, err = gains.Float32s(); err != nil {
			return report, nil, err
		}
	}
	if back.bias, err = l.mergeBias(); err != nil {
		return report, nil, err
	}
	return report, back, d.Err()
}

// delta is ΔW in f32.
func (l adapted) delta() *tensor.Tensor {
	return ops.MatMul(autograd.Const(l.linear.scaledB()), autograd.Const(l.linear.A.Value), false, false).Tensor()
}

// cast returns x in another type; x itself if it has that.
func cast(x *tensor.Tensor, dt tensor.DType) *tensor.Tensor {
	return ops.Cast(autograd.Const(x), dt).Tensor()
}

// assign overwrites the numbers of a tensor with those of another, which may have another type.
func assign(to, from *tensor.Tensor) { to.Device().Run(kernels.Cast{N: to.Numel()}, to, from) }

// norm starts computing the Frobenius norm of x; the function it gives waits for it.
func norm(x *tensor.Tensor) func() float64 {
	const block = 1 << 16
	d, n := x.Device(), x.Numel()
	partial := d.New(tensor.F32, (n+block-1)/block)
	d.Run(kernels.SumSquares{N: n, Block: block}, partial, x)
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

// MergeReport is what merging has done to a model.
type MergeReport struct {
	Layers []Merged `json:"layers"`
	// LogitDifference is the largest difference between a logit of the merged model and
	// the same logit of model and adapter, over some tokens from all of the vocabulary;
	// LargestLogit is the largest magnitude among the latter, for comparison.
	LogitDifference float64 `json:"logit_difference"`
	LargestLogit    float64 `json:"largest_logit"`
}

// MergeAndCompare merges the adapter, which must be attached to m, and measures what
// rounding has done to the logits.
func (a *Adapter) MergeAndCompare(m *llama.Model) (MergeReport, error) {
	for _, l := range a.layers {
		if !l.has(l.linear) {
			return MergeReport{}, fmt.Errorf("multilora: layer %s does not hold the adapter: Attach it first", l.name)
		}
	}
	want, err := probe(m)
	if err != nil {
		return MergeReport{}, err
	}
	var r MergeReport
	if r.Layers, err = a.Merge(); err != nil {
		return r, err
	}
	got, err := probe(m)
	for i := range got {
		r.LogitDifference = max(r.LogitDifference, math.Abs(float64(got[i])-float64(want[i])))
		r.LargestLogit = max(r.LargestLogit, math.Abs(float64(want[i])))
	}
	return r, err
}

// probe gives the logits of one text of tokens drawn from the vocabulary, always the same.
func probe(m *llama.Model) ([]float32, error) {
	r := random.NewStream(0, random.Test, 0, 0)
	b := llama.Batch{Rows: 1, IDs: make([]int32, min(64, m.Config.MaxPositions))}
	for i := range b.IDs {
		b.IDs[i] = int32(r.IntN(m.Config.Vocab))
	}
	scope := m.Device().Scope()
	defer scope.Close()
	return m.Logits(b).Tensor().Float32s()
}
