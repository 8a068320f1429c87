package optim

import (
	"iter"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Gradients are values for all gradients of a Trainable, kept beside its own.
type Gradients struct {
	blocks []*tensor.Tensor // [n] f32 each, as the Trainable's
}

// NewGradients makes room for gradients, which no scope closes; what is in them is not defined.
func (t *Trainable) NewGradients() *Gradients {
	g := &Gradients{}
	for _, b := range t.blocks {
		g.blocks = append(g.blocks, t.dev.New(tensor.F32, b.n))
	}
	for s := t.dev.CurrentScope(); s != nil; s = s.Parent() {
		s.Keep(g.blocks...)
	}
	return g
}

// Blocks gives the tensors of all numbers, [n] f32 each, alike for every model of the same settings.
func (g *Gradients) Blocks() iter.Seq[*tensor.Tensor] {
	return func(yield func(*tensor.Tensor) bool) {
		for _, b := range g.blocks {
			if !yield(b) {
				return
			}
		}
	}
}

// Bytes is the memory of the numbers.
func (g *Gradients) Bytes() (n int) {
	for _, b := range g.blocks {
		n += b.Bytes()
	}
	return n
}

// MoveGrad puts the gradients of the parameters into g, and forgets them (ForgetGrad).
func (t *Trainable) MoveGrad(g *Gradients) {
	t.settle()
	for i, b := range t.blocks {
		t.dev.Run(kernels.Cast{N: b.n}, g.blocks[i], b.grad)
	}
	t.ForgetGrad()
}

// AddGrad adds g to the gradients of the parameters.
func (t *Trainable) AddGrad(g *Gradients) {
	t.settle()
	for i, b := range t.blocks {
		t.dev.Run(kernels.Add{N: b.n, M: b.n}, b.grad, b.grad, g.blocks[i])
	}
}
