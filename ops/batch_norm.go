package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// BatchNormOptions are those of BatchNorm.
type BatchNormOptions struct {
	// Training takes the mean and the variance from x itself and moves the running ones towards
	// them; without it the running ones are taken as they are.
	Training bool
	Momentum float32 // weight of a new measurement in the running ones; 0 means 0.1
	Eps      float32 // added to the variance; 0 means 1e-5
}

// BatchNorm is (x - mean) / sqrt(variance + eps) * weight + bias for every channel of x [batch,
// channels, …]: Ioffe and Szegedy, 1502.03167. weight and bias are [channels] or nil. mean and
// variance, f32 [channels], are the running statistics: while Training they are written to, and may
// be nil. The measured variance is the biased one, the running one unbiased, as PyTorch's. Inside
// Checkpoint they move twice.
func BatchNorm(x, weight, bias, mean, variance *Var, o BatchNormOptions) *Var {
	t := x.Tensor()
	if t.Rank() < 2 {
		tensor.Panicf("batch_norm", "x is %s: want [batch, channels, …]", t)
	}
	for _, v := range []*Var{weight, bias, mean, variance} {
		if v != nil && !v.Tensor().HasShape(t.Dim(1)) {
			tensor.Panicf("batch_norm", "weight, bias, mean or variance is %s for x %s: want [%d]", v.Tensor(), t,
				t.Dim(1))
		}
	}
	if (mean == nil || variance == nil) && !o.Training || (mean == nil) != (variance == nil) {
		tensor.Panicf("batch_norm", "no mean or no variance: want both, or Training without either")
	}
	if o.Momentum == 0 {
		o.Momentum = 0.1
	}
	if o.Eps == 0 {
		o.Eps = 1e-5
	}
	constant := func(v *Var) *Var {
		if v == nil {
			return nil
		}
		return autograd.Const(v.Tensor())
	}
	return apply(batchNorm{o}, x, weight, bias, constant(mean), constant(variance))
}

type batchNorm struct{ BatchNormOptions }

func (n batchNorm) kernel(x *tensor.Tensor) kernels.BatchNorm {
	return kernels.BatchNorm{Batch: x.Dim(0), Channels: x.Dim(1), Inner: x.Numel() / x.Dim(0) / x.Dim(1), Eps: n.Eps}
}

func (n batchNorm) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	x, mean, variance := f.In[0], f.In[3], f.In[4]
	k := n.kernel(x)
	if n.Training {
		stat := autograd.StatType(x.DType())
		mean, variance = f.New(stat, k.Channels), f.New(stat, k.Channels)
		saved = []*tensor.Tensor{mean, variance}
		f.Run(kernels.BatchNormStats{Batch: k.Batch, Channels: k.Channels, Inner: k.Inner, Momentum: n.Momentum}, mean,
			variance, f.In[3], f.In[4], x)
	}
	y := f.Like(x)
	f.Run(k, y, x, mean, variance, f.In[1], f.In[2])
	return one(y), saved
}

func (n batchNorm) Backward(b *autograd.Backward) {
	x, w, dy, mean, variance := b.In[0], b.In[1], b.DOut[0], b.In[3], b.In[4]
	k := n.kernel(x)
	if n.Training {
		mean, variance = b.Saved[0], b.Saved[1]
	}
	var sums [2]*tensor.Tensor // of the weight and the bias; those of x's own statistics need them too
	if n.Training || b.Needs[1] || b.Needs[2] {
		sums[0], sums[1] = b.Like(mean), b.Like(mean)
		b.Run(kernels.BatchNormGradWeight(k), sums[0], sums[1], dy, x, mean, variance)
		b.SetGrad(1, sums[0])
		b.SetGrad(2, sums[1])
	}
	if !n.Training {
		sums = [2]*tensor.Tensor{}
	}
	if dx := b.Grad(0); dx != nil {
		b.Run(kernels.BatchNormGrad(k), dx, dy, x, mean, variance, w, sums[0], sums[1])
	}
}

func (batchNorm) Examples() []autograd.Example {
	positive := func(_ int, r *random.Stream) float64 { return 0.5 + float64(r.Float32()) }
	example := func(name string, training, affine, running bool, shape ...int) autograd.Example {
		e := autograd.Example{Name: name, In: []autograd.Input{
			{Shape: shape}, {Kind: autograd.Weight}, {Kind: autograd.Weight},
			{Kind: autograd.Stat, NoGrad: true}, {Kind: autograd.Stat, NoGrad: true, Value: positive},
		}, Call: call(func(in []*Var) *Var {
			return BatchNorm(in[0], in[1], in[2], in[3], in[4], BatchNormOptions{Training: training})
		})}
		if affine {
			e.In[1].Shape, e.In[2].Shape = shape[1:2], shape[1:2]
		}
		if running {
			e.In[3].Shape, e.In[4].Shape = shape[1:2], shape[1:2]
		}
		return e
	}
	bias := example("bias alone", false, false, true, 5, 3, 4)
	bias.In[2].Shape = []int{3}
	return []autograd.Example{
		example("training", true, true, true, 3, 5, 4, 7),
		example("inference", false, true, true, 3, 5, 4, 7),
		example("training, plain", true, false, false, 7, 3),
		example("inference, plain", false, false, true, 2, 3, 17),
		example("many positions", true, true, false, 5, 2, 257),
		bias,
	}
}
