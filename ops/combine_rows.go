package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// CombineRows gives each of n tokens the weighted sum of k of the rows x [k n, dim], each of which belongs to one:
//
//	y[t] = Σ_j weights[places[j, t]] x[places[j, t]], in the order of j
//
// weights are [k n]. places (i32 [k, n]) names every row once, and tokens (i32 [k n]) is its inverse: to which token
// each row belongs. It is how a mixture puts together what its experts made of the tokens. Products and sums are f32
// (f64 of f64), rounded once; what it holds meanwhile is n rows.
func CombineRows(x, weights, places, tokens *Var) *Var {
	xt, p, t := x.Tensor(), places.Tensor(), tokens.Tensor()
	if xt.Rank() != 2 || !xt.DType().IsFloat() {
		tensor.Panicf("combine_rows", "x is %s: want floats [rows, dim]", xt)
	}
	n := xt.Dim(0)
	if w := weights.Tensor(); !w.HasShape(n) || w.DType() != autograd.StatType(xt.DType()) {
		tensor.Panicf("combine_rows", "weights are %s: want %s [%d]", w, autograd.StatType(xt.DType()), n)
	}
	if p.DType() != tensor.I32 || p.Rank() != 2 || p.Numel() != n || t.DType() != tensor.I32 || !t.HasShape(n) {
		tensor.Panicf("combine_rows", "places are %s, tokens %s: want i32 [k, tokens] and [k tokens], %d numbers each", p, t,
			n)
	}
	t.View(0, n) // which Backward alone reads, panics here where it has been freed
	return apply(combineRows{}, x, weights, places, tokens)
}

type combineRows struct{}

func (combineRows) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, weights, places := f.In[0], f.In[1], f.In[2]
	dt, each, n, dim := weights.DType(), places.Dim(0), places.Dim(1), x.Dim(1)
	sum, row, factor := f.New(dt, n, dim), f.New(dt, n, dim), f.New(dt, n, dim)
	own := f.New(dt, n)
	for j := range each {
		at := places.View(j*n, n)
		to := row
		if j == 0 {
			to = sum
		}
		f.Run(kernels.Embedding{Rows: n, Dim: dim, Vocab: x.Dim(0)}, to, x, at)
		f.Run(kernels.Gather{Outer: 1, N: x.Dim(0), M: n, Inner: 1}, own, weights, at)
		f.Run(kernels.Expand{Outer: n, N: dim, Inner: 1, Scale: 1}, factor, own)
		f.Run(kernels.Mul{N: n * dim, M: n * dim}, to, to, factor)
		if j > 0 {
			f.Run(kernels.Add{N: n * dim, M: n * dim}, sum, sum, row)
		}
	}
	if dt == x.DType() {
		return one(sum), nil
	}
	y := f.New(x.DType(), n, dim)
	f.Run(kernels.Cast{N: n * dim}, y, sum)
	return one(y), nil
}

func (combineRows) Backward(b *autograd.Backward) {
	x, weights, tokens, dy := b.In[0], b.In[1], b.In[3], b.DOut[0]
	dx, dweights := b.Grad(0), b.Grad(1)
	dt, n, dim := weights.DType(), dy.Dim(0), x.Dim(1)
	given, factor := b.New(dt, n, dim), b.New(dt, n, dim)
	for at := 0; at < x.Dim(0); at += n { // n rows at a time
		part := x.View(at*dim, n, dim)
		b.Run(kernels.Embedding{Rows: n, Dim: dim, Vocab: n}, given, dy, tokens.View(at, n))
		if dweights != nil {
			b.Run(kernels.Mul{N: n * dim, M: n * dim}, factor, given, part)
			b.Run(kernels.Sum{Outer: n, N: dim, Inner: 1, Scale: 1}, dweights.View(at, n), factor)
		}
		if dx != nil {
			b.Run(kernels.Expand{Outer: n, N: dim, Inner: 1, Scale: 1}, factor, weights.View(at, n))
			b.Run(kernels.Mul{N: n * dim, M: n * dim}, given, given, factor)
			b.Run(kernels.Cast{N: n * dim}, dx.View(at*dim, n, dim), given)
		}
	}
}

func (combineRows) Examples() []autograd.Example {
	example := func(name string, each, n, dim int) autograd.Example {
		rows := each * n
		step := 1 // a row's place is that of the token's choice, step times
		for _, s := range []int{7, 5, 3} {
			if rows%s != 0 {
				step = s
				break
			}
		}
		owner := make([]int, rows)
		for i := range rows {
			owner[i*step%rows] = i % n
		}
		index := func(of func(i int) int, shape ...int) autograd.Input {
			return autograd.Input{Shape: shape, Kind: autograd.Index,
				Value: func(i int, _ *random.Stream) float64 { return float64(of(i)) }}
		}
		return autograd.Example{Name: name, In: []autograd.Input{
			{Shape: []int{rows, dim}}, {Shape: []int{rows}, Kind: autograd.Stat},
			index(func(i int) int { return i * step % rows }, each, n),
			index(func(i int) int { return owner[i] }, rows),
		}, Call: call(func(in []*Var) *Var { return CombineRows(in[0], in[1], in[2], in[3]) })}
	}
	return []autograd.Example{
		example("two", 2, 5, 7),
		example("one", 1, 3, 4),
		example("one token", 4, 1, 3),
		example("wide", 3, 11, 67),
	}
}
