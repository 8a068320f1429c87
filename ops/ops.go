// Package ops holds the operations: one file each, with the function users call,
// Forward, Backward, and the Examples it is tested on.
//
// Shapes are written [batch, rows, columns]; everything is row-major and
// contiguous. A wrong shape panics with *tensor.Error that names the operation and
// the shapes.
package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// Var is what operations take and give: a tensor in a computation.
type Var = autograd.Var

// All is every operation, for tests and benchmarks.
func All() []autograd.Op {
	return []autograd.Op{
		add{}, sub{}, mul{}, div{}, scale{}, unary{}, cast{}, &dropout{},
		sum{}, maximum{}, softmax{}, crossEntropy{}, mse{},
		reshape{}, expand{}, permute{}, concat{}, slice{}, embedding{}, gatherRows{},
		rmsNorm{}, layerNorm{}, swiglu{}, matmul{}, linear{}, linears{},
		compare{}, where{}, clamp{}, pow{}, cumsum{}, flip{}, pad{}, gather{}, scatterAdd{}, logSoftmax{},
		conv2d{}, maxPool{}, avgPool{}, batchNorm{},
		rope{}, attention{}, &multiLoRA{}, &multiLoRARows{}, &multiLoRALinears{}, loraScale{}, linearCrossEntropy{},
		linearCrossEntropyRows{}, combineRows{},
	}
}

// apply runs an operation of one output.
func apply(op autograd.Op, in ...*Var) *Var { return autograd.Apply(op, in...)[0] }

func one(t *tensor.Tensor) []*tensor.Tensor { return []*tensor.Tensor{t} }

// call makes an Example's Call from a function of one output.
func call(f func(in []*Var) *Var) func(in []*Var) []*Var {
	return func(in []*Var) []*Var { return []*Var{f(in)} }
}

// normal describes standard normal inputs of one kind.
func normal(kind autograd.Kind, shapes ...[]int) []autograd.Input {
	var in []autograd.Input
	for _, s := range shapes {
		in = append(in, autograd.Input{Shape: s, Kind: kind})
	}
	return in
}
