package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Equal is where a == b: a mask (i32) of a's shape, 1 where it holds and 0 elsewhere, for Where.
// Both are floats, or both are i32. The shape of b may be a suffix of a's, [] being one number.
// A mask has no gradient.
func Equal(a, b *Var) *Var { return compared(kernels.RelationEqual, a, b) }

// NotEqual is where a != b, as Equal; NaN is equal to nothing.
func NotEqual(a, b *Var) *Var { return compared(kernels.RelationNotEqual, a, b) }

// Less is where a < b, as Equal.
func Less(a, b *Var) *Var { return compared(kernels.RelationLess, a, b) }

// LessEqual is where a <= b, as Equal.
func LessEqual(a, b *Var) *Var { return compared(kernels.RelationLessEqual, a, b) }

// Greater is where a > b, as Equal.
func Greater(a, b *Var) *Var { return compared(kernels.RelationGreater, a, b) }

// GreaterEqual is where a >= b, as Equal.
func GreaterEqual(a, b *Var) *Var { return compared(kernels.RelationGreaterEqual, a, b) }

func compared(r kernels.Relation, a, b *Var) *Var {
	mustBeSuffix("compare", a, b)
	x, y := a.Tensor(), b.Tensor()
	if x.DType() != y.DType() && !(x.DType().IsFloat() && y.DType().IsFloat()) {
		tensor.Panicf("compare", "%s and %s: want floats, or i32 both", x, y)
	}
	return apply(compare{r}, autograd.Const(x), autograd.Const(y))
}

type compare struct{ relation kernels.Relation }

func (c compare) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	a, b := f.In[0], f.In[1]
	mask := f.New(tensor.I32, a.Shape()...)
	k := kernels.Compare{N: a.Numel(), M: b.Numel(), Relation: c.relation}
	if a.DType() == tensor.I32 {
		f.Run(k, mask, nil, nil, a, b)
	} else {
		f.Run(k, mask, a, b, nil, nil)
	}
	return one(mask), nil
}

// Backward has nothing to do: masks have no gradient.
func (compare) Backward(*autograd.Backward) {}

func (compare) Examples() []autograd.Example {
	few := func(_ int, r *random.Stream) float64 { return float64(r.IntN(3) - 1) } // often equal
	example := func(name string, f func(a, b *Var) *Var, kind autograd.Kind, a, b []int) autograd.Example {
		in := autograd.Input{Kind: kind, Value: few, NoGrad: true}
		e := autograd.Example{Name: name, In: []autograd.Input{in, in},
			Call: call(func(in []*Var) *Var { return f(in[0], in[1]) })}
		e.In[0].Shape, e.In[1].Shape = a, b
		return e
	}
	return []autograd.Example{
		example("equal", Equal, autograd.Activation, []int{5, 67}, []int{5, 67}),
		example("not equal", NotEqual, autograd.Activation, []int{5, 7}, []int{7}),
		example("less", Less, autograd.Activation, []int{257}, []int{}),
		example("at most", LessEqual, autograd.Activation, []int{2, 3, 5}, []int{3, 5}),
		example("greater", Greater, autograd.Activation, []int{1}, []int{1}),
		example("at least", GreaterEqual, autograd.Activation, []int{31}, []int{31}),
		example("indices", Less, autograd.Index, []int{3, 11}, []int{11}),
	}
}
