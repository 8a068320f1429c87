package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Where is a where the mask (i32, of Equal and its kind) is not 0, else b. The shapes of two may
// be suffixes of the third's, which is the result's; [] is one number.
func Where(mask, a, b *Var) *Var {
	if mask.Tensor().DType() != tensor.I32 {
		tensor.Panicf("where", "mask %s: want i32", mask.Tensor())
	}
	if a.Tensor().DType() != b.Tensor().DType() {
		tensor.Panicf("where", "%s and %s: want one dtype", a.Tensor(), b.Tensor())
	}
	largest := mask
	for _, v := range []*Var{a, b} {
		if v.Tensor().Rank() > largest.Tensor().Rank() {
			largest = v
		}
	}
	for _, v := range []*Var{mask, a, b} {
		mustBeSuffix("where", largest, v)
	}
	return apply(where{largest.Shape()}, mask, a, b)
}

type where struct{ shape []int }

func (w where) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	mask, a, b := f.In[0], f.In[1], f.In[2]
	y := f.New(a.DType(), w.shape...)
	f.Run(kernels.Where{N: y.Numel(), Mm: mask.Numel(), Ma: a.Numel(), Mb: b.Numel()}, y, mask, a, b)
	return one(y), nil
}

// Backward: da is dy where a was chosen and 0 elsewhere, db the rest.
func (where) Backward(b *autograd.Backward) {
	mask, dy := b.In[0], b.DOut[0]
	n := dy.Numel()
	k := kernels.Where{N: n, Mm: mask.Numel(), Ma: n, Mb: n}
	if b.Needs[1] {
		g := b.Like(dy)
		b.Run(k, g, mask, dy, nil)
		sumToSuffix(b, 1, g, 1)
	}
	if b.Needs[2] {
		g := b.Like(dy)
		b.Run(k, g, mask, nil, dy)
		sumToSuffix(b, 2, g, 1)
	}
}

func (where) Examples() []autograd.Example {
	coin := func(_ int, r *random.Stream) float64 { return float64(r.IntN(2)) }
	example := func(name string, mask, a, b []int) autograd.Example {
		return autograd.Example{Name: name,
			In:   []autograd.Input{{Shape: mask, Kind: autograd.Index, Value: coin}, {Shape: a}, {Shape: b}},
			Call: call(func(in []*Var) *Var { return Where(in[0], in[1], in[2]) })}
	}
	return []autograd.Example{
		example("same shape", []int{5, 67}, []int{5, 67}, []int{5, 67}),
		example("one number", []int{3, 7}, []int{3, 7}, []int{}),
		example("mask repeated", []int{5, 5}, []int{2, 3, 5, 5}, []int{}),
		example("both repeated", []int{3, 4, 7}, []int{7}, []int{4, 7}),
		example("one", []int{1}, []int{1}, []int{1}),
	}
}
