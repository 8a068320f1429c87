package nn

import "github.com/agora-ml/agora/ops"

// Adder is a Layer that can add what it makes of x to something as it is made.
type Adder interface {
	Layer
	// ForwardPlus is plus + Forward(x); plus has the shape and the type of that.
	ForwardPlus(plus, x *Var) *Var
}

// forwardPlus is plus and what a layer makes of x.
func forwardPlus(plus *Var, l Layer, x *Var) *Var {
	if a, ok := l.(Adder); ok {
		return a.ForwardPlus(plus, x)
	}
	return ops.Add(plus, l.Forward(x))
}
