package autograd

import (
	"fmt"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Var is a tensor in a computation: a constant, a parameter, or what an operation
// on those has given.
type Var struct {
	t      *tensor.Tensor
	tape   *Tape  // the tape its gradient is kept on; nil for constants and parameters
	passes bool   // a gradient passes through it, also where the first run of a checkpointed segment keeps none
	param  *Param // nil unless it stands for a parameter that trains
	op     Op     // what computed it, for messages
	made   string // what it is where no operation did
}

// Const is a variable without a gradient: a batch, a mask, a table.
func Const(t *tensor.Tensor) *Var {
	if t == nil {
		tensor.Panicf("const", "want a tensor, got nil")
	}
	return &Var{t: t, made: "constant"}
}

// must is the variable, if there is one.
func (v *Var) must(op string) *Var {
	if v == nil || v.t == nil {
		tensor.Panicf(op, "want a variable, got %s", v)
	}
	return v
}

// Tensor is the value.
func (v *Var) Tensor() *tensor.Tensor { return v.must("tensor").t }

// Shape is a copy of the value's dimensions.
func (v *Var) Shape() []int { return v.must("shape").t.Shape() }

// Dim is the value's dimension i; negative i counts from the end.
func (v *Var) Dim(i int) int { return v.must("dim").t.Dim(i) }

// NeedsGrad reports whether Backward would compute a gradient for it.
func (v *Var) NeedsGrad() bool { return v.must("needs_grad").tape != nil || v.param != nil }

func (v *Var) String() string {
	switch {
	case v == nil:
		return "nil"
	case v.t == nil:
		return "a zero Var"
	}
	if v.op != nil {
		return fmt.Sprintf("%s (result of %s)", v.t, OpName(v.op))
	}
	return fmt.Sprintf("%s (%s)", v.t, v.made)
}

// Param is a tensor of a model that may train.
type Param struct {
	Value *tensor.Tensor
	// Grad is where Backward adds the gradient, f32 and of Value's shape. It is nil
	// for a frozen parameter, whose gradient costs nothing. What is in it is not defined
	// after ForgetGrad, until Backward or SettleGrad has written there.
	Grad *tensor.Tensor
	// Frozen keeps the parameter out of training; Gather gives every other one its
	// Grad.
	Frozen bool
	// NoDecay keeps an optimizer's weight decay from it: for a scale or a gate, whose 0 is
	// no simpler than another value.
	NoDecay bool
	// After, if not nil, is what the parameter had better lie behind in memory, so that one product takes both:
	// where kernels have a price of their own (tensor.Device.Launches), and elsewhere when a text's next token is computed.
	After *Param
	// Fetch, if not nil, brings the numbers of Value to its device: they lie elsewhere until they are used, and
	// others may take their place afterwards.
	Fetch func()

	operand *Var           // Var's, where it does not train
	forgot  *tensor.Tensor // counts as zero while it is Grad, whatever is in it
}

// NewParam is a parameter that trains once it has a Grad.
func NewParam(value *tensor.Tensor) *Param { return &Param{Value: value} }

// Frozen is a parameter that does not train.
func Frozen(value *tensor.Tensor) *Param { return &Param{Value: value, Frozen: true} }

// ForgetGrad makes Grad count as zero without writing to it: the next Backward that reaches the parameter writes there
// where it would have added. What is in Grad until then is not defined; SettleGrad makes it zero after all.
func (p *Param) ForgetGrad() { p.forgot = p.Grad }

func (p *Param) forgets() bool { return p.forgot != nil && p.forgot == p.Grad }

// SettleGrad writes the zeros of a gradient that ForgetGrad has left out, if no Backward has written there since.
func (p *Param) SettleGrad() {
	if p.forgets() {
		p.forgot = nil
		p.Grad.Device().Run(kernels.Fill{N: p.Grad.Numel()}, p.Grad)
	}
}

// Var is the parameter as an operand.
func (p *Param) Var() *Var {
	if p == nil || p.Value == nil {
		tensor.Panicf("param", "want a parameter with a value, got none")
	}
	p.Use()
	if p.Grad == nil || p.Frozen {
		if p.operand == nil || p.operand.t != p.Value {
			p.operand = &Var{t: p.Value, made: "frozen parameter"}
		}
		return p.operand
	}
	return &Var{t: p.Value, param: p, made: "parameter"}
}

// Use is Value with its numbers in it, also where they lie elsewhere (Fetch): then until a parameter of another
// part of the model is used. Whoever wants type and shape alone has them from Value.
func (p *Param) Use() *tensor.Tensor {
	if p.Fetch != nil {
		p.Fetch()
	}
	return p.Value
}
