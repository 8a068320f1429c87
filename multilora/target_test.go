package multilora

import (
	"testing"

	"github.com/agora-ml/agora/nn"
)

// all-linear leaves experts out, which are adapted by the names of their layers.
func TestTargetsOfExperts(t *testing.T) {
	const attention, expert = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.experts.12.up_proj"
	var all []slot
	for _, name := range []string{attention, "model.layers.1.mlp.up_proj", expert} {
		all = append(all, slot{name: name, layer: new(nn.Layer)})
	}
	for target, want := range map[string]int{AllLinear: 2, "up_proj": 2, "experts.12.up_proj": 1, "model.layers.*": 3} {
		found, err := find(all, nil, []string{target}, false)
		if err != nil || len(found) != want {
			t.Errorf("%s: %v, error %v, want %d layers", target, namesOf(found), err, want)
		}
	}
}
