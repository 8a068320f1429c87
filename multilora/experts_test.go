package multilora

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// expertForms are adapters of experts, named by the family of their model and what they are. PEFT's versions for
// transformers 5 read them, which have gate and up of all experts in one parameter.
func expertForms() map[string]Config {
	multi := Config{Method: MethodMultiLoRA, Modules: 2, Rank: 3, Alpha: 5, Scaling: ScalingScalar,
		Targets: []string{"v_proj", "gate_proj", "up_proj", "down_proj"}}
	lora := Config{Method: MethodLoRA, Modules: 1, Rank: 4, Alpha: 6, Scaling: ScalingScalar,
		Targets: []string{"q_proj", "w1", "w2", "w3"}}
	down := Config{Method: MethodLoRA, Modules: 1, Rank: 3, Alpha: 6, Scaling: ScalingScalar,
		Targets: []string{"k_proj", "down_proj"}}
	scaled := Config{Method: MethodRSLoRA, Modules: 1, Rank: 4, Alpha: 3, Scaling: ScalingScalar,
		Targets: []string{"model.layers.1.mlp.experts.*", "q_proj"}}
	return map[string]Config{"qwen3_moe-multilora": multi, "mixtral-lora": lora, "qwen3_moe-down": down,
		"qwen3_moe-rslora": scaled}
}

// someExperts are adapters that PEFT's versions for transformers 5 do not read.
func someExperts() map[string]Config {
	ranks := Config{Method: MethodLoRA, Modules: 1, Rank: 4, Alpha: 6, Scaling: ScalingScalar,
		Targets: []string{"q_proj", "gate_proj", "model.layers.1.mlp.experts.2.down_proj"},
		Ranks:   map[string]int{"model.layers.0.mlp.experts.1.gate_proj": 2, "model.layers.1.self_attn.q_proj": 3},
		Alphas:  map[string]float64{"model.layers.1.mlp.experts.2.down_proj": 3}}
	same := ranks
	same.Alphas, same.Targets = nil, []string{"q_proj", "gate_proj", "up_proj", "down_proj"}
	gates := same
	gates.Ranks, gates.Targets = nil, []string{"k_proj", "gate_proj", "up_proj"}
	one, dropped := gates, gates
	one.Targets = []string{"model.layers.1.mlp.experts.2.*"}
	dropped.Targets, dropped.Dropout = same.Targets, 0.1
	return map[string]Config{"qwen3_moe-gate": ranks, "qwen3_moe-ranks": same, "qwen3_moe-gates": gates,
		"qwen3_moe-one": one, "qwen3_moe-dropout": dropped}
}

// mixture is a small random mixture of experts for a form.
func mixture(t *testing.T, d *tensor.Device, form string) *llama.Model {
	t.Helper()
	kind, _, _ := strings.Cut(form, "-")
	m, err := llama.New(d, llama.Config{
		ModelType: kind, Vocab: 61, Hidden: 24, Intermediate: 20, Layers: 2, Heads: 3, KVHeads: 1, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.2, RoPE: ops.RoPEScaling{Theta: 10000},
		Mixture: &llama.Mixture{Experts: 4, Chosen: 2, Intermediate: 20, SumsToOne: true},
	}, 7)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Adapters of experts come back from GGUF, which has those of a block in one tensor, and from PEFT.
func TestAdaptersOfExpertsRoundTrip(t *testing.T) {
	forms := expertForms()
	maps.Copy(forms, someExperts())
	limits := map[string]string{
		"qwen3_moe-gate": "beside both gate and up of the experts of model.layers.0.mlp", "qwen3_moe-ranks": "one rank",
		"qwen3_moe-gates": "beside down", "qwen3_moe-one": "all 4 experts of model.layers.1.mlp, got 1",
		"qwen3_moe-dropout": "dropout, which is 0.1",
	}
	for name, cfg := range forms {
		t.Run(name, func(t *testing.T) {
			d := open(t, 2)
			m := mixture(t, d, name)
			base := logits(t, m, batch())
			a := attach(t, m, cfg)
			trained(t, m, 8)
			want := logits(t, m, batch())
			far(t, want, base)
			file, dir := filepath.Join(t.TempDir(), "adapter.gguf"), t.TempDir()
			if err := a.SaveGGUF(file, m.Config); err != nil {
				t.Fatal(err)
			}
			if err := a.SavePEFT(dir); err != nil {
				t.Fatal(err)
			}
			if got := a.PEFTLimits(); !strings.Contains(got, limits[name]) || (got == "") != (limits[name] == "") {
				t.Errorf("PEFT's limits: %q, want %q", got, limits[name])
			}
			back := mixture(t, d, name)
			b, err := LoadGGUF(back, file, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if e := distance(logits(t, back, batch()), want); e > 1e-5 {
				t.Errorf("from GGUF the logits are off by %g", e)
			}
			for _, l := range a.Layers() { // there may be others, of zeros
				if !slices.Contains(b.Layers(), l) {
					t.Errorf("from GGUF there is none on %s", l)
				}
			}
			b.Detach()
			if b, err = LoadPEFT(back, dir, Options{}); err != nil {
				t.Fatal(err)
			}
			if e := distance(logits(t, back, batch()), want); e > 1e-5 || !slices.Equal(a.Layers(), b.Layers()) {
				t.Errorf("from PEFT on %v, the logits are off by %g", b.Layers(), e)
			}
		})
	}
}

// Tensors of experts that are not those of the model are refused.
func TestGGUFOfOtherExperts(t *testing.T) {
	d := open(t, 1)
	m := mixture(t, d, "mixtral")
	a := attach(t, m, expertForms()["mixtral-lora"])
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := a.SaveGGUF(path, m.Config); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for want, change := range map[string]func(t *gguf.Tensor){
		`"blk.1.ffn_up_exps.weight.lora_a": want matrices of 4 experts, got shape [2 8 24]`: func(x *gguf.Tensor) {
			if x.Name == "blk.1.ffn_up_exps.weight.lora_a" {
				x.Shape = []int{2, 8, 24}
			}
		},
		`"blk.0.ffn_gate.1.weight.lora_a": want lora_a or lora_b of a layer of this model`: func(x *gguf.Tensor) {
			x.Name = strings.Replace(x.Name, "blk.0.ffn_gate_exps.", "blk.0.ffn_gate.1.", 1)
		},
	} {
		var sources []gguf.Source
		for _, x := range f.Tensors() {
			change(&x)
			sources = append(sources, x.Source())
		}
		changed := filepath.Join(t.TempDir(), "changed.gguf")
		if err := gguf.Write(changed, f.Metadata(), sources...); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadGGUF(mixture(t, d, "mixtral"), changed, Options{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
