package nn

import (
	"math"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Initializer makes the parameters of a new model. Parameter i draws from a stream of its
// own, so its values depend on the seed and on i alone.
type Initializer struct {
	Device *tensor.Device
	DType  tensor.DType // what trains should be f32
	Seed   uint64

	made uint32
}

// NewInitializer returns an Initializer of f32 parameters on d.
func NewInitializer(d *tensor.Device, seed uint64) *Initializer {
	return &Initializer{Device: d, Seed: seed}
}

// Uniform is a parameter with numbers between -bound and bound.
func (in *Initializer) Uniform(bound float64, shape ...int) *Param {
	return in.param(shape, func(r *random.Stream) float64 { return bound * (2*float64(r.Float32()) - 1) })
}

// Normal is a parameter with normal numbers of mean 0.
func (in *Initializer) Normal(deviation float64, shape ...int) *Param {
	return in.param(shape, func(r *random.Stream) float64 { return deviation * r.Normal() })
}

// Constant is a parameter that begins as one number everywhere.
func (in *Initializer) Constant(value float64, shape ...int) *Param {
	return in.param(shape, func(*random.Stream) float64 { return value })
}

// Kaiming is Uniform within gain sqrt(3/fanIn) for gain² = 2/(1+a²), a = sqrt(5),
// which is 1/sqrt(fanIn): what PyTorch gives the weight of a linear layer and PEFT the
// A of a LoRA. He et al., 1502.01852.
func (in *Initializer) Kaiming(fanIn int, shape ...int) *Param {
	return in.Uniform(1/math.Sqrt(float64(fanIn)), shape...)
}

func (in *Initializer) param(shape []int, next func(*random.Stream) float64) *Param {
	tensor.NotNil("nn", "an Initializer", in)
	r := random.NewStream(in.Seed, random.Init, in.made, 0)
	in.made++
	if in.Device.IsMeta() {
		return autograd.NewParam(in.Device.New(in.DType, shape...))
	}
	values := make([]float32, tensor.Numel(shape))
	for i := range values {
		values[i] = float32(next(r))
	}
	return autograd.NewParam(in.Device.FromFloat32s(in.DType, values, shape...))
}
