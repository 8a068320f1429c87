package llama

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

func TestMixtureConfig(t *testing.T) {
	qwen := map[string]any{"model_type": "qwen3_moe", "num_experts": 6, "num_experts_per_tok": 2,
		"moe_intermediate_size": 24, "norm_topk_prob": true, "mlp_only_layers": []int{1}}
	c, err := parseConfig("config.json", with(t, qwen))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Mixture
	if m.Experts != 6 || m.Chosen != 2 || m.Intermediate != 24 || !m.SumsToOne ||
		!slices.Equal(m.Dense, []bool{false, true}) {
		t.Errorf("got %+v", m)
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseConfig("again", out)
	if err != nil || !slices.Equal(again.Mixture.Dense, m.Dense) || again.Mixture.Intermediate != 24 {
		t.Errorf("written and read: %+v, error %v", again.Mixture, err)
	}
	if err := c.GGUFError(); err == nil || !strings.Contains(err.Error(), "mlp_only_layers") {
		t.Errorf("a layer without experts in GGUF: error %v", err)
	}
	for field, value := range map[string]any{
		"num_experts": 1 << 20, "num_experts_per_tok": 7, "moe_intermediate_size": 0, "mlp_only_layers": []int{2},
		"decoder_sparse_step": 0, "output_router_logits": true,
	} {
		changed := map[string]any{}
		for name, v := range qwen {
			changed[name] = v
		}
		changed[field] = value
		if _, err := parseConfig("config.json", with(t, changed)); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s %v: error %v", field, value, err)
		}
	}
	_, err = parseConfig("config.json", with(t, map[string]any{"model_type": "mixtral", "router_jitter_noise": 0.1}))
	if err == nil || !strings.Contains(err.Error(), "router_jitter_noise") {
		t.Errorf("a router with noise: error %v", err)
	}
}

// Experts are quantized, the router is not, and a file of blocks gives them back as they were.
func TestMixtureInBlocks(t *testing.T) {
	d := open(t)
	for _, kind := range []string{"qwen3_moe", "mixtral"} {
		c := smallest(t, kind, map[string]any{"hidden_size": 64, "moe_intermediate_size": 32, "intermediate_size": 96})
		m := create(t, d, c)
		uneven(m)
		path := t.TempDir() + "/model.gguf"
		if err := m.SaveGGUF(path, GGUFOptions{DType: tensor.Q8}); err != nil {
			t.Fatal(kind, err)
		}
		stored, err := Load(t.Context(), d, path, LoadOptions{AsStored: true})
		if err != nil {
			t.Fatal(kind, err)
		}
		wide, err := Load(t.Context(), d, path, LoadOptions{})
		if err != nil {
			t.Fatal(kind, err)
		}
		moe := stored.Blocks[3].Mixture()
		_, _, down := moe.Experts[2].Layers()
		if r := moe.Router.Weight.Value.DType(); r != tensor.F32 {
			t.Errorf("%s: a router in %s", kind, r)
		}
		if w := weightOf(down); w.DType() != tensor.Q8 {
			t.Errorf("%s: experts in %s", kind, w.DType())
		}
		b := Batch{Rows: 1, IDs: text(1, 20, c.Vocab)}
		if !slices.Equal(logits(t, stored, b), logits(t, wide, b)) {
			t.Errorf("%s: other logits of blocks than of what they stand for", kind)
		}
	}
}

func weightOf(l nn.Layer) *tensor.Tensor { return l.(*nn.Linear).Weight.Value }
