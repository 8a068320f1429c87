package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
)

// SwiGLU is the gated feed-forward block of LLaMA: down(silu(gate(x)) * up(x)), or
// GeGLU, Gemma's, with gelu in place of silu. Shazeer, 2002.05202.
type SwiGLU struct {
	Gate Layer `name:"gate_proj"` // dim → hidden
	Up   Layer `name:"up_proj"`   // dim → hidden
	Down Layer `name:"down_proj"` // hidden → dim

	GateUp Layer `name:"gate_up_proj"` // dim → 2 hidden: both in one, in place of Gate and Up, or nil
	GELU   bool  // GeGLU, with gelu's approximation by tanh
}

// NewSwiGLU has three new linear layers without bias.
func NewSwiGLU(weights *Initializer, dim, hidden int) *SwiGLU {
	return &SwiGLU{
		Gate: NewLinear(weights, dim, hidden, false),
		Up:   NewLinear(weights, dim, hidden, false),
		Down: NewLinear(weights, hidden, dim, false),
	}
}

// Layers returns the three layers of one whose Gate and Up are apart.
func (s *SwiGLU) Layers() (gate, up, down Layer) { return s.Gate, s.Up, s.Down }

// Forward maps [..., dim] to [..., dim].
func (s *SwiGLU) Forward(x *Var) *Var { return s.Down.Forward(autograd.Segment(s.gated, x)) }

// ForwardPlus implements Adder.
func (s *SwiGLU) ForwardPlus(plus, x *Var) *Var {
	return forwardPlus(plus, s.Down, autograd.Segment(s.gated, x))
}

// gated maps [..., dim] to [..., hidden].
func (s *SwiGLU) gated(x *Var) *Var {
	var gate, up *Var
	if s.GateUp == nil {
		both := forwardAll(x, s.Gate, s.Up)
		gate, up = both[0], both[1]
	} else {
		both := s.GateUp.Forward(x)
		last, half := both.Tensor().Rank()-1, both.Dim(-1)/2
		gate, up = ops.Slice(both, last, 0, half), ops.Slice(both, last, half, 2*half)
	}
	if s.GELU {
		return ops.Mul(ops.GELUTanh(gate), up)
	}
	return ops.SwiGLU(gate, up)
}
