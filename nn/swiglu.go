package nn

import "github.com/agora-ml/agora/ops"

// SwiGLU is the gated feed-forward block of LLaMA: down(silu(gate(x)) * up(x)).
// Shazeer, 2002.05202.
type SwiGLU struct {
	Gate Layer `name:"gate_proj"` // dim → hidden
	Up   Layer `name:"up_proj"`   // dim → hidden
	Down Layer `name:"down_proj"` // hidden → dim
}

// NewSwiGLU has three new linear layers without bias.
func NewSwiGLU(weights *Initializer, dim, hidden int) *SwiGLU {
	return &SwiGLU{
		Gate: NewLinear(weights, dim, hidden, false),
		Up:   NewLinear(weights, dim, hidden, false),
		Down: NewLinear(weights, hidden, dim, false),
	}
}

// Forward maps [..., dim] to [..., dim].
func (s *SwiGLU) Forward(x *Var) *Var {
	return s.Down.Forward(ops.SwiGLU(s.Gate.Forward(x), s.Up.Forward(x)))
}
