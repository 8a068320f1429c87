package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// RMSNorm is x / sqrt(mean(x²) + eps) * weight over the last dimension. x is
// [..., dim], weight [dim]. Zhang and Sennrich, 1910.07467.
//
// A row of finite numbers whose squares add up to more than float32 holds, such as 768 of 7e17, becomes zeros on a GPU,
// as in PyTorch; a CPU adds up in float64 and gives what the formula says.
func RMSNorm(x, weight *Var, eps float32) *Var {
	if !weight.Tensor().HasShape(x.Dim(-1)) {
		tensor.Panicf("rms_norm", "weight is %s for x %s: want [%d]", weight.Tensor(), x.Tensor(), x.Dim(-1))
	}
	return apply(rmsNorm{eps}, x, weight)
}

type rmsNorm struct{ eps float32 }

func (r rmsNorm) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, w := f.In[0], f.In[1]
	dim := x.Dim(-1)
	y := f.Like(x)
	var rstd *tensor.Tensor
	if f.AnyNeeds() {
		rstd = f.New(autograd.StatType(x.DType()), x.Numel()/dim)
	}
	f.Run(kernels.RMSNorm{Rows: x.Numel() / dim, Dim: dim, Eps: r.eps}, y, rstd, x, w)
	return one(y), one(rstd)
}

// BackwardReads implements autograd.Selective.
func (rmsNorm) BackwardReads([]bool) autograd.Reads {
	return autograd.Reads{In: []bool{true, true}, Saved: true}
}

// CheapAgain implements autograd.Cheap.
func (rmsNorm) CheapAgain() {}

func (rmsNorm) Backward(b *autograd.Backward) {
	x, w, rstd, dy := b.In[0], b.In[1], b.Saved[0], b.DOut[0]
	dim := x.Dim(-1)
	rows := x.Numel() / dim
	if dx, plus := b.GradPlus(0); dx != nil {
		b.Run(kernels.RMSNormGrad{Rows: rows, Dim: dim}, dx, dy, x, w, rstd, plus)
	}
	if dw, acc := b.WeightGrad(1); dw != nil {
		b.Run(kernels.RMSNormGradWeight{Rows: rows, Dim: dim, Acc: acc}, dw, dy, x, rstd)
	}
}

func (rmsNorm) Examples() []autograd.Example {
	f := call(func(in []*Var) *Var { return RMSNorm(in[0], in[1], 1e-5) })
	example := func(name string, shape ...int) autograd.Example {
		return autograd.Example{Name: name, Call: f, In: []autograd.Input{
			{Shape: shape},
			{Shape: shape[len(shape)-1:], Kind: autograd.Weight},
		}}
	}
	residual := example("a residual", 3, 64)
	residual.Call = call(func(in []*Var) *Var { return Add(in[0], RMSNorm(in[0], in[1], 1e-5)) })
	large := example("large", 4096, 1024)
	large.Large = true
	long := example("many long rows", 263, 1031)
	long.Brief = true
	return []autograd.Example{
		example("one row", 1, 5),
		example("rows", 2, 3, 64),
		example("prime", 7, 257),
		residual, long, large,
	}
}
