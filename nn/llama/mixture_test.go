package llama

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
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

// A file of before April 2024 has one tensor an expert; one that has an expert in both forms is refused.
func TestGGUFWithATensorAnExpert(t *testing.T) {
	d := open(t)
	m := create(t, d, smallest(t, "mixtral", nil))
	uneven(m)
	stacked := saveGGUF(t, m, GGUFOptions{DType: tensor.Q8})
	f, err := gguf.Open(stacked)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var apart, twice []gguf.Source
	for _, x := range f.Tensors() {
		kind, ofAll := strings.CutSuffix(x.Name, "_exps.weight")
		if !ofAll {
			apart, twice = append(apart, x.Source()), append(twice, x.Source())
			continue
		}
		twice = append(twice, x.Source())
		size := len(x.Data) / x.Shape[0]
		for e := range x.Shape[0] {
			one := gguf.Tensor{Name: fmt.Sprintf("%s.%d.weight", kind, e), Type: x.Type, Shape: x.Shape[1:],
				Data: x.Data[e*size : (e+1)*size]}
			if apart = append(apart, one.Source()); e == 1 {
				twice = append(twice, one.Source())
			}
		}
	}
	dir := t.TempDir()
	for path, sources := range map[string][]gguf.Source{"apart.gguf": apart, "twice.gguf": twice} {
		if err := gguf.Write(filepath.Join(dir, path), f.Metadata(), sources...); err != nil {
			t.Fatal(err)
		}
	}
	b := Batch{Rows: 1, IDs: text(1, 20, m.Config.Vocab)}
	want := logits(t, load(t, d, stacked), b)
	if got := logits(t, load(t, d, filepath.Join(dir, "apart.gguf")), b); !slices.Equal(got, want) {
		t.Error("other logits than of the file with a tensor of all experts")
	}
	_, err = Load(t.Context(), d, filepath.Join(dir, "twice.gguf"), LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "blk.0.ffn_gate.1.weight: want it once, got it in blk.0.ffn_gate_exps.weight") {
		t.Errorf("an expert in two tensors: error %v", err)
	}
}

func weightOf(l nn.Layer) *tensor.Tensor { return l.(*nn.Linear).Weight.Value }
