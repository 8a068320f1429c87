package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
)

// Conv2D is ops.Conv2D with parameters.
type Conv2D struct {
	Weight *Param `name:"weight"` // [out, in/groups, kernel height, kernel width]
	Bias   *Param `name:"bias"`   // [out], or nil

	Options ops.Conv2DOptions
}

// NewConv2D is initialized as PyTorch's nn.Conv2d: weight and bias uniform within 1/sqrt(n), n being
// what a window sees.
func NewConv2D(weights *Initializer, in, out int, kernel [2]int, bias bool, o ops.Conv2DOptions) *Conv2D {
	in /= max(1, o.Groups)
	fan := in * kernel[0] * kernel[1]
	c := &Conv2D{Weight: weights.Kaiming(fan, out, in, kernel[0], kernel[1]), Options: o}
	if bias {
		c.Bias = weights.Kaiming(fan, out)
	}
	return c
}

// Forward maps [batch, in, height, width] to [batch, out, positions down, positions across].
func (c *Conv2D) Forward(x *Var) *Var {
	if c.Bias == nil {
		return ops.Conv2D(x, c.Weight.Var(), nil, c.Options)
	}
	return ops.Conv2D(x, c.Weight.Var(), c.Bias.Var(), c.Options)
}

// BatchNorm is ops.BatchNorm with parameters: while a tape records, by the statistics of the batch,
// which move the running ones; else by those.
type BatchNorm struct {
	Weight          *Param `name:"weight"`       // [channels]
	Bias            *Param `name:"bias"`         // [channels]
	RunningMean     *Param `name:"running_mean"` // [channels], not trained
	RunningVariance *Param `name:"running_var"`  // [channels], not trained

	Momentum, Eps float32 // 0 means 0.1 and 1e-5
}

// NewBatchNorm begins with weight and variance 1, bias and mean 0.
func NewBatchNorm(weights *Initializer, channels int) *BatchNorm {
	n := &BatchNorm{
		Weight: weights.Constant(1, channels), Bias: weights.Constant(0, channels),
		RunningMean: weights.Constant(0, channels), RunningVariance: weights.Constant(1, channels),
	}
	n.RunningMean.Frozen, n.RunningVariance.Frozen = true, true
	return n
}

// Forward normalizes every channel of [batch, channels, …].
func (n *BatchNorm) Forward(x *Var) *Var {
	o := ops.BatchNormOptions{Training: autograd.Recording(x.Tensor().Device()), Momentum: n.Momentum, Eps: n.Eps}
	return ops.BatchNorm(x, n.Weight.Var(), n.Bias.Var(), n.RunningMean.Var(), n.RunningVariance.Var(), o)
}
