package llama

import (
	"math"
	"math/bits"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// ropeUse is what a rotary table is for.
type ropeUse struct {
	local   bool // layers with a window, where these have settings of their own
	queries bool // where these have a table of their own
	long    bool // texts for which LongRoPE's long factors count, or which DynamicRoPE stretches
}

// rotary gives each layer the tables for texts of n positions.
func (m *Model) rotary(n int) func(layer int) nn.Context {
	c := &m.Config
	of := func(local bool) (t nn.Context) {
		t.RoPE = m.ropeTable(ropeUse{local: local}, n)
		if y := c.rope(local).YaRN; y != nil && y.QueryBeta != 0 {
			t.QueryRoPE = m.ropeTable(ropeUse{local: local, queries: true}, n)
		}
		return t
	}
	global, local := of(false), nn.Context{}
	if c.LocalRoPE != nil {
		local = of(true)
	}
	return func(layer int) nn.Context {
		switch {
		case c.NoRoPE != nil && c.NoRoPE[layer]:
			return nn.Context{}
		case c.LocalRoPE != nil && c.window(layer) > 0:
			return local
		}
		return global
	}
}

// rope is the rotary settings of layers with a window, or of the others.
func (c *Config) rope(local bool) ops.RoPEScaling {
	if local {
		return *c.LocalRoPE
	}
	return c.RoPE
}

// rotated is how many of a head's elements the rotary positions turn.
func (c *Config) rotated() int {
	if c.RotaryDim > 0 {
		return c.RotaryDim
	}
	return c.HeadDim
}

// ropeTable has at least n positions. It grows by doubling and outlives every scope. The factors
// that LongRoPE has for short texts and for long ones are in tables of their own; DynamicRoPE has
// another table for each length that it stretches, of which the last is kept.
func (m *Model) ropeTable(use ropeUse, n int) *nn.Var {
	scaling := m.Config.rope(use.local)
	least, most := 64, m.Config.Context()
	if d := scaling.Dynamic; d != nil {
		most = d.Positions
		if use.long = n > d.Positions; use.long {
			least, most = n, n
		}
	}
	if l := scaling.Long; l != nil {
		if use.long = n > l.OriginalPositions; use.long {
			least = l.OriginalPositions + 1
		} else {
			most = min(most, l.OriginalPositions)
		}
	}
	if t := m.rope[use]; t == nil || t.Dim(0) < n || t.Dim(0) > most {
		positions := min(max(least, 1<<bits.Len(uint(n-1))), most)
		values := ops.RoPETable
		if use.queries {
			values = ops.RoPEQueryTable
		}
		dim := m.Config.rotated()
		table := values(positions, dim, scaling)
		t = m.device.FromFloat32s(autograd.StatType(m.DType()), table, positions, dim)
		for s := m.device.CurrentScope(); s != nil; s = s.Parent() {
			s.Keep(t)
		}
		if m.rope == nil {
			m.rope = map[ropeUse]*tensor.Tensor{}
		}
		m.rope[use] = t
	}
	return autograd.Const(m.rope[use])
}

// longer reports whether texts of n positions are turned otherwise than those of more, up to
// most: what is computed for one is of no use for the other.
func (c *Config) longer(n, most int) bool {
	switch l, d := c.RoPE.Long, c.RoPE.Dynamic; {
	case n < 1:
		return false
	case l != nil:
		return n <= l.OriginalPositions && most > l.OriginalPositions
	case d != nil:
		return most > max(n, d.Positions)
	}
	return false
}

// Context is how many positions a text may have: those that the model was made for, times the factor
// of DynamicRoPE, which is for longer texts.
func (c *Config) Context() int {
	if d := c.RoPE.Dynamic; d != nil {
		return int(min(d.Factor*float64(c.MaxPositions), math.MaxInt32))
	}
	return c.MaxPositions
}
