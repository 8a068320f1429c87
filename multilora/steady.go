package multilora

import (
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

var (
	_ nn.Steady = (*Linear)(nil)
	_ nn.Steady = (*rowsLinear)(nil)
	_ nn.Steady = (*besideWeight)(nil)
	_ nn.Steady = (*tokenRows)(nil)
)

// Steady implements nn.Steady.
func (l *Linear) Steady(x tensor.DType, rows int) (still func() bool) {
	was, base, mirrored := *l, *l.Base, l.mirrors(x, rows)
	return func() bool {
		now := *l
		now.gain = was.gain
		if now != was || *l.Base != base || l.mirrors(x, rows) != mirrored || l.Magnitude != nil && l.trains() {
			return false // while they train, norms are made for each call, with help of the host
		}
		if mirrored {
			l.mirror.modules(l, x)
		}
		if l.Magnitude != nil {
			l.norms()
		}
		return true
	}
}

// Steady implements nn.Steady.
func (l *rowsLinear) Steady(x tensor.DType, rows int) (still func() bool) {
	base := *l.Base
	var parts []func() bool
	for _, m := range l.Adapters {
		was, part := *m.linear, m.linear.Steady(x, rows)
		parts = append(parts, func() bool { return m.A == was.A && m.B == was.B && m.S == was.S && part() })
	}
	return func() bool {
		for _, part := range parts {
			if !part() {
				return false
			}
		}
		return *l.Base == base
	}
}

// Steady implements nn.Steady.
func (b *besideWeight) Steady(tensor.DType, int) (still func() bool) {
	was, options := *b, b.modules.options
	return func() bool { return *b == was && b.modules.options == options }
}

// Steady implements nn.Steady.
func (r *tokenRows) Steady(tensor.DType, int) (still func() bool) {
	rows, base, at, selector := r.Rows, r.base.Weight, r.at, r.selector
	return func() bool { return r.Rows == rows && r.base.Weight == base && r.at == at && r.selector == selector }
}
