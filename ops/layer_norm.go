package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// LayerNorm is (x - mean) / sqrt(variance + eps) * weight + bias over the last
// dimension, with the biased variance. x is [..., dim]; weight and bias are [dim] or
// nil. Ba, Kiros and Hinton, 1607.06450.
func LayerNorm(x, weight, bias *Var, eps float32) *Var {
	for _, p := range []*Var{weight, bias} {
		if p != nil && !p.Tensor().HasShape(x.Dim(-1)) {
			tensor.Panicf("layer_norm", "weight or bias is %s for x %s: want [%d]", p.Tensor(), x.Tensor(), x.Dim(-1))
		}
	}
	return apply(layerNorm{eps}, x, weight, bias)
}

type layerNorm struct{ eps float32 }

func (l layerNorm) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x := f.In[0]
	dim := x.Dim(-1)
	rows := x.Numel() / dim
	y := f.Like(x)
	var mean, rstd *tensor.Tensor
	if f.AnyNeeds() {
		stat := autograd.StatType(x.DType())
		mean, rstd = f.New(stat, rows), f.New(stat, rows)
	}
	f.Run(kernels.LayerNorm{Rows: rows, Dim: dim, Eps: l.eps}, y, mean, rstd, x, f.In[1], f.In[2])
	return one(y), []*tensor.Tensor{mean, rstd}
}

// BackwardReads implements autograd.Selective.
func (layerNorm) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{true, true}, Saved: true}
}

func (layerNorm) Backward(b *autograd.Backward) {
	x, w, dy, mean, rstd := b.In[0], b.In[1], b.DOut[0], b.Saved[0], b.Saved[1]
	dim := x.Dim(-1)
	rows := x.Numel() / dim
	if dx := b.Grad(0); dx != nil {
		b.Run(kernels.LayerNormGrad{Rows: rows, Dim: dim}, dx, dy, x, w, mean, rstd)
	}
	k := kernels.LayerNormGradWeight{Rows: rows, Dim: dim}
	dw, accW := b.WeightGrad(1)
	db, accB := b.WeightGrad(2)
	switch {
	case dw != nil && db != nil && accW != accB: // one is to be added to, one is new
		k.Acc = accW
		b.Run(k, dw, nil, dy, x, mean, rstd)
		k.Acc = accB
		b.Run(k, nil, db, dy, x, mean, rstd)
	case dw != nil || db != nil:
		k.Acc = accW || accB
		b.Run(k, dw, db, dy, x, mean, rstd)
	}
}

func (layerNorm) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return LayerNorm(in[0], in[1], in[2], 1e-5) })
	example := func(name string, weight, bias bool, shape ...int) autograd.Example {
		e := autograd.Example{Name: name, Call: f,
			In: []autograd.Input{{Shape: shape}, {Kind: autograd.Weight}, {Kind: autograd.Weight}}}
		if weight {
			e.In[1].Shape = shape[len(shape)-1:]
		}
		if bias {
			e.In[2].Shape = shape[len(shape)-1:]
		}
		return e
	}
	large := example("large", true, true, 4096, 1024)
	large.Large = true
	long := example("many long rows", true, true, 263, 1031)
	long.Brief = true
	return []autograd.Example{
		example("rows", true, true, 2, 3, 17),
		example("no bias", true, false, 5, 64),
		example("no weight", false, true, 5, 7),
		example("plain", false, false, 3, 5),
		example("prime", true, true, 67, 257),
		long, large,
	}
}
