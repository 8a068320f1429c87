package llama

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
)

// In a family whose config.json has a word for it a layer has a bias of zeros, which a saved model has as well;
// another family refuses, and nothing has changed.
func TestAddBiases(t *testing.T) {
	words := map[string][]string{ // the layers that may have a bias they are not born with
		"llama": {"o_proj", "up_proj"}, "granite": {"o_proj", "up_proj"}, "qwen3": {"o_proj"}, "qwen3_moe": {"o_proj"}, "olmo2": {"o_proj"},
		"gemma2": {"o_proj"}, "gemma3_text": {"o_proj"}, "smollm3": {"o_proj", "up_proj"},
	}
	d := open(t)
	for _, f := range families {
		for _, part := range []string{"self_attn.o_proj", "mlp.up_proj"} {
			m := create(t, d, smallest(t, f.modelType, nil))
			b := Batch{Rows: 1, IDs: text(1, 20, m.Config.Vocab)}
			want, config := logits(t, m, b), m.Config
			take, err := m.AddBiases("model.layers.1." + part)
			if fits := slices.Contains(words[f.modelType], lastPart(part)); fits != (err == nil) {
				t.Errorf("%s %s: error %v", f.modelType, part, err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "want a family whose config.json has a word for it") ||
					m.Config.OBias != config.OBias || m.Config.MLPBias != config.MLPBias {
					t.Errorf("%s %s: error %v, %+v", f.modelType, part, err, m.Config)
				}
				continue
			}
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(f.modelType, err)
			}
			saved, err := Load(t.Context(), d, dir, LoadOptions{})
			if err != nil {
				t.Fatal(f.modelType, err)
			}
			for _, model := range []*Model{m, saved} {
				if got := logits(t, model, b); !slices.Equal(got, want) {
					t.Errorf("%s %s: other logits", f.modelType, part)
				}
				for name, layer := range nn.Layers(model) {
					if l := (*layer).(*nn.Linear); lastPart(name) == lastPart(part) && l.Bias == nil {
						t.Errorf("%s: %s has no bias", f.modelType, name)
					}
				}
			}
			take()
			for name, layer := range nn.Layers(m) {
				if l := (*layer).(*nn.Linear); lastPart(name) == lastPart(part) && l.Bias != nil {
					t.Errorf("%s: %s has a bias still", f.modelType, name)
				}
			}
			if m.Config.OBias != config.OBias || m.Config.MLPBias != config.MLPBias {
				t.Errorf("%s: %+v", f.modelType, m.Config)
			}
		}
	}
}
