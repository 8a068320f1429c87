package multilora

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/nn/llama"
)

// The last parts of the names of an expert's layers, by what they are in the parameters that transformers 5 has of all
// experts of a block: gate and up are one, down another.
var expertParts = map[string]string{
	"gate_proj": "gate", "w1": "gate", "up_proj": "up", "w3": "up", "down_proj": "down", "w2": "down",
}

// PEFTLimits returns why PEFT beside transformers 5 does not take an adapter of a mixture's experts as SavePEFT writes
// it, with each expert's layers by themselves as transformers 4 has them; "" if it does. Beside transformers 5 PEFT
// puts them together (0.20.1.dev0, utils/transformers_weight_conversion.py), where each expert of a block has as many.
func (a *Adapter) PEFTLimits() string {
	m, ok := a.model.(*llama.Model)
	if !ok || !a.adaptsExperts() {
		return ""
	}
	if a.config.Dropout > 0 {
		return fmt.Sprintf("it takes no modules of experts with dropout, which is %v", a.config.Dropout)
	}
	counts, ranks := map[string]map[string]int{}, map[string][]int{}
	for _, l := range a.layers {
		block, rest, ok := strings.Cut(l.name, ".experts.")
		if !ok {
			continue
		}
		_, part, _ := strings.Cut(rest, ".")
		if counts[block] == nil {
			counts[block] = map[string]int{}
		}
		counts[block][expertParts[part]]++
		if rank := a.config.of(l.name).TotalRank(); !slices.Contains(ranks[block], rank) {
			ranks[block] = append(ranks[block], rank)
		}
	}
	for _, l := range a.layers {
		block, _, ok := strings.Cut(l.name, ".experts.")
		if !ok {
			continue
		}
		c, all := counts[block], m.Config.Mixture.Experts
		for _, part := range []string{"gate", "up", "down"} {
			if c[part] != 0 && c[part] != all {
				return fmt.Sprintf("it wants modules beside all %d experts of %s, got %d", all, block, c[part])
			}
		}
		switch {
		case c["gate"] != c["up"]:
			return fmt.Sprintf("it wants modules beside both gate and up of the experts of %s", block)
		case c["gate"] > c["down"]:
			return fmt.Sprintf("it wants modules beside down of the experts of %s where gate and up have some, and leaves "+
				"these out otherwise", block)
		case len(ranks[block]) > 1:
			return fmt.Sprintf("it wants one rank for the experts of %s, got %v", block, ranks[block])
		}
	}
	return ""
}

// adaptsExperts reports whether modules stand beside layers of a mixture's experts.
func (a *Adapter) adaptsExperts() bool {
	return slices.ContainsFunc(a.layers, func(l adapted) bool { return isOfExpert(l.name) })
}
