package multilora

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn/llama"
)

// peftTypes are the kinds of adapters that PEFT 0.20 knows beside LORA.
var peftTypes = []string{
	"PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADALORA", "BOFT", "ADAPTION_PROMPT",
	"IA3", "LOHA", "LOKR", "OFT", "POLY",
	"LN_TUNING", "VERA", "FOURIERFT", "XLORA", "HRA", "VBLORA", "CPT", "BONE", "MISS", "RANDLORA", "ROAD",
	"TRAINABLE_TOKENS", "SHIRA", "C3A", "WAVEFT",
	"DELORA", "GRALORA", "OSF", "lora", "Lora", "LORA ", "",
}

// strayFields are of other kinds of adapters, or nobody's, or spelled wrongly, or have values
// that no LoRA has.
var strayFields = []string{
	``, `"num_virtual_tokens": 20, "encoder_hidden_size": 128`,
	`"target_modules": ["k_proj"], "feedforward_modules": ["down_proj"]`,
	`"rank_dropout": 0.1, "module_dropout": 0.0, "use_effective_conv2d": false`,
	`"init_r": 12, "target_r": 8, "deltaT": 1`,
	`"r": "eight"`, `"r": null`, `"lora_alpha": -1`, `"use_dora": true`, `"bias": "all"`, `"zzz": [1]`,
	`"target_modules": "("`,
	`"rank_pattern": {"` + strings.Repeat("{", 30) + `": 1}`, `"modules_to_save": 7`, `"Peft_Type": "LORA"`,
}

// Another kind of adapter is named first, whatever else stands in its configuration and wherever.
func TestPEFTTypeGoesFirst(t *testing.T) {
	for _, kind := range peftTypes {
		for _, fields := range strayFields {
			value, _ := json.Marshal(kind)
			own := `"peft_type": ` + string(value)
			for _, text := range []string{"{" + own + ", " + fields + "}", "{" + fields + ", " + own + "}"} {
				text = strings.NewReplacer(", }", "}", "{, ", "{").Replace(text)
				want := `field peft_type: want "LORA", got ` + string(value)
				if what := otherTypes[kind]; what != "" {
					want += ": " + what + " (not supported)"
				}
				if _, err := parsePEFTConfig([]byte(text)); err == nil || err.Error() != want {
					t.Errorf("%s: error %v, want %s", text, err, want)
				}
				if got := UnsupportedPEFT([]byte(text)); len(got) != 1 || got[0] != want {
					t.Errorf("%s: not supported is %q", text, got)
				}
			}
		}
	}
	for _, value := range []string{"7", "null", `["LORA"]`, "{}"} {
		if _, err := parsePEFTConfig([]byte(`{"zzz": 1, "peft_type": ` + value + "}")); err == nil ||
			err.Error() != `field peft_type: want "LORA", got `+value {
			t.Errorf("%s: error %v", value, err)
		}
	}
}

// Every form that is not supported is refused by its own name, and all of them at once.
func TestPEFTFormsByName(t *testing.T) {
	values := map[string]string{
		"layer_replication": "[[0, 1], [0, 2]]", "megatron_config": `{"a": 1}`,
		"alora_invocation_tokens": "[1, 2]", "arrow_config": `{"top_k": 3}`,
		"target_parameters": `["experts.down_proj"]`, "use_qalora": "true", "use_bdlora": `{"a": 1}`,
		"kasa_config": `{"a": 1}`, "monteclora_config": `{"a": 1}`, "velora_config": `{"a": 1}`,
	}
	if len(values) != len(unknownForms) {
		t.Errorf("values for %d of %d forms", len(values), len(unknownForms))
	}
	d := open(t, 1)
	dir := t.TempDir()
	m := tiny(t, d)
	a := attach(t, m, kinds()["lora"])
	if err := a.SavePEFT(dir); err != nil {
		t.Fatal(err)
	}
	together := `"peft_type": "LORA", "target_modules": ["q_proj", "lm_head", "embed_tokens"], "bias": "all", "r": 0`
	for field, value := range values {
		text := fmt.Sprintf(`{"peft_type": "LORA", %q: %s}`, field, value)
		want := "field " + field + ": want null, false or empty: " + unknownForms[field] + " (not supported), got " +
			value
		write(t, filepath.Join(dir, PEFTConfigFile), text)
		if _, err := LoadPEFT(tiny(t, d), dir, Options{}); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
		if got := UnsupportedPEFT([]byte(text)); len(got) != 1 || got[0] != want {
			t.Errorf("%s: not supported is %q", text, got)
		}
		for _, none := range []string{"null", "false", "{}", "[]", `""`} {
			if got := UnsupportedPEFT([]byte(fmt.Sprintf(`{"peft_type": "LORA", %q: %s}`, field, none))); got != nil {
				t.Errorf("%s %s: not supported is %q", field, none, got)
			}
		}
		together += fmt.Sprintf(", %q: %s", field, value)
	}
	all := UnsupportedPEFT([]byte("{" + together + "}"))
	if len(all) != len(values)+2 {
		t.Errorf("%d reasons: %q", len(all), all)
	}
	for _, part := range []string{"use_qalora", "bias: want \"none\"", "field r: want"} {
		if !strings.Contains(strings.Join(all, "\n"), part) {
			t.Errorf("%q is not among the reasons", part)
		}
	}
	write(t, filepath.Join(dir, PEFTConfigFile), "{"+together+"}")
	_, err := LoadPEFT(tiny(t, d), dir, Options{})
	if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "; and ") ||
		!strings.HasSuffix(err.Error(), " more") {
		t.Errorf("error %v", err)
	}
}

// Modules beside a norm are refused by its name; those beside the embedding or the head of a model in which they
// are one, unless PEFT has tied them.
func TestPEFTLayersThatAreNone(t *testing.T) {
	d := open(t, 1)
	tied := blocks32()
	tied.Tied = true
	for name, c := range map[string]struct {
		config       llama.Config
		fields, want string
	}{
		"norm": {blocks32(), `"target_modules": ["q_proj", "norm"]`,
			"field target_modules: norm as a LoRA layer is not supported"},
		"excluded": {blocks32(), `"target_modules": ["q_proj", "lm_head"], "exclude_modules": ["lm_head"]`, ""},
		"all linear": {tied, `"target_modules": "all-linear", "exclude_modules": ["k_proj", "v_proj", "o_proj", ` +
			`"gate_proj", "up_proj", "down_proj"]`, ""},
		"no such tensor": {blocks32(), `"target_modules": ["q_proj", "lm_head"]`,
			`tensor "base_model.model.lm_head.lora_A.weight": want shape [6 64], got no such tensor`},
		"head of a tied model": {tied, `"target_modules": ["q_proj", "lm_head"]`,
			"field ensure_weight_tying: want true where embed_tokens or lm_head of a model whose head is its embedding"},
		"embedding of a tied model": {tied, `"target_modules": ".*q_proj|model.embed_tokens"`,
			"field ensure_weight_tying: want true where"},
		"another rank of the head": {tied, `"target_modules": ["q_proj", "embed_tokens"], "ensure_weight_tying": true, ` +
			`"rank_pattern": {"lm_head": 3}`, "want the same for embed_tokens and lm_head"},
		"tied": {tied, `"target_modules": ["q_proj", "lm_head"], "ensure_weight_tying": true`,
			`tensor "base_model.model.model.embed_tokens.lora_embedding_A": want shape [6 96], got no such tensor`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := llama.New(d, c.config, 3)
			if err != nil {
				t.Fatal(err)
			}
			cfg := kinds()["lora"]
			cfg.Targets = []string{"q_proj"}
			a := attach(t, m, cfg)
			dir := t.TempDir()
			if err := a.SavePEFT(dir); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, PEFTConfigFile), `{"peft_type": "LORA", "r": 6, "lora_alpha": 4, `+c.fields+`}`)
			fresh, err := llama.New(d, c.config, 3)
			if err != nil {
				t.Fatal(err)
			}
			_, err = LoadPEFT(fresh, dir, Options{})
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), dir)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// Tensors of other forms are named as what they are.
func TestPEFTTensorsByName(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	cfg := kinds()["lora"]
	cfg.Targets = []string{"v_proj"}
	a := attach(t, m, cfg)
	good := t.TempDir()
	if err := a.SavePEFT(good); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"base_model.model.model.layers.0.self_attn.v_proj.lora_magnitude_vector":      "got a magnitude of DoRA",
		"base_model.model.model.layers.0.self_attn.v_proj.lora_B.bias":                "got a bias of lora_B",
		"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta":    "got trained rows of a module",
		"base_model.model.lm_head.lora_A.weight":                                      "got one of another layer",
		"base_model.model.lm_head.base_layer.weight":                                  "got a weight of the model",
		"base_model.model.model.embed_tokens.lora_embedding_A":                        "got one of another layer",
		"base_model.model.model.layers.7.self_attn.v_proj.lora_A.weight":              "got one of another layer",
		"base_model.model.model.layers.0.self_attn.v_proj.ia3_l":                      "got another",
		"base_model.model.model.layers.0.self_attn.v_proj.lora_A.default.weight.more": "got one of another layer",
	} {
		dir := copied(t, good)
		all := peftTensors(t, good)
		all[name] = safetensors.FromFloat32s(name, []int{2}, []float32{1, 2})
		golden.WriteTensors(t, filepath.Join(dir, PEFTTensorFile), nil, all)
		if _, err := LoadPEFT(tiny(t, d), dir, Options{}); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}
