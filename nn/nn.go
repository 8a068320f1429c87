// Package nn holds layers: structs of parameters with a Forward.
//
// A model is a struct whose fields carry the names of the checkpoint in tags
// (`name:"q_proj"`). Params and Layers walk it by these names: loading, freezing,
// adapting and saving need nothing else.
//
// Shapes are written [batch, tokens, dim]; a linear weight is [out, in].
package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// The names every file here uses.
type (
	Var   = autograd.Var
	Param = autograd.Param
)

// Layer is a function of one variable that has parameters. A struct field of this
// type is a slot: whatever stands in it may be replaced by another Layer, an adapter
// around the first, say (see Layers).
type Layer interface {
	Forward(x *Var) *Var
}

// Func is a Layer without parameters, an activation for example: nn.Func(ops.SiLU).
type Func func(x *Var) *Var

// Forward is f(x).
func (f Func) Forward(x *Var) *Var { return f(x) }

// Sequential is its layers one after the other; their names are 0, 1, …
type Sequential []Layer

// Forward feeds each layer what the one before it gave.
func (s Sequential) Forward(x *Var) *Var {
	for _, layer := range s {
		x = layer.Forward(x)
	}
	return x
}

// Device returns the device of the first parameter, and panics if there is none.
func (s Sequential) Device() *tensor.Device {
	for _, p := range Params(s) {
		return p.Value.Device()
	}
	tensor.Panicf("sequential", "no layer has a parameter: want one to know the device")
	return nil
}

// Dropout zeroes elements with probability P and scales the others by 1/(1-P) while
// a tape records; else it is the identity.
type Dropout struct{ P float32 }

// Forward is x of any shape with elements dropped.
func (d Dropout) Forward(x *Var) *Var { return ops.Dropout(x, d.P) }
