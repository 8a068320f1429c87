package optim

import (
	"fmt"
	"math"
	"path"

	"github.com/agora-ml/agora/nn"
)

// Group says how the parameters of some names train.
type Group struct {
	// Match is a pattern of whole names: * stands for any characters, ? for one,
	// [a-z] for one of a range. "*.s" matches every adapter's scaling.
	Match string
	// LRFactor multiplies the learning rate of a step; it must be positive. (What is
	// not to train is Frozen.)
	LRFactor float32
	// WeightDecay stands in place of the optimizer's.
	WeightDecay float32
}

func (g Group) check() error {
	switch _, err := path.Match(g.Match, ""); {
	case err != nil:
		return fmt.Errorf("optim: group %q: field Match: %w", g.Match, err)
	case !(g.LRFactor > 0) || math.IsInf(float64(g.LRFactor), 0):
		return fmt.Errorf("optim: group %q: field LRFactor: want a positive number, got %g", g.Match, g.LRFactor)
	case !(g.WeightDecay >= 0) || math.IsInf(float64(g.WeightDecay), 0):
		return fmt.Errorf("optim: group %q: field WeightDecay: want at least 0, got %g", g.Match, g.WeightDecay)
	}
	return nil
}

// group is what a block knows of its group.
type group struct {
	lrFactor float32
	decay    float32
	ownDecay bool // else the optimizer's
}

// groupOf finds a parameter's group and marks it as matched.
func groupOf(name string, p *nn.Param, groups []Group, matched []bool) group {
	for i, g := range groups {
		if ok, _ := path.Match(g.Match, name); ok {
			matched[i] = true
			return group{g.LRFactor, g.WeightDecay, true}
		}
	}
	return group{lrFactor: 1, ownDecay: p.NoDecay || p.Value.Rank() < 2}
}
