package multilora

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
)

// Which layers a configuration adapts, as PEFT chooses them.
func TestPEFTTargets(t *testing.T) {
	all, err := slotsOf(tiny(t, open(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fields string // beside peft_type
		want   string // short names of the layers, in the model's order
	}{
		{`"target_modules": ["q_proj", "v_proj"]`, "0.q 0.v 1.q 1.v"},
		{`"target_modules": null`, "0.q 0.v 1.q 1.v"}, // PEFT's default for LLaMA
		{`"target_modules": ["q_proj"], "enable_lora": null, "merge_weights": false, "fan_in_fan_out": true, "task_type": "CAUSAL_LM"`, "0.q 1.q"}, // of 2023
		{`"target_modules": ["q_proj", "lm_head", "embed_tokens"]`, "model.embed_tokens 0.q 1.q lm_head"},
		{`"target_modules": ".*layers.0.*q_proj|lm_head"`, "0.q lm_head"},
		{`"target_modules": ["q_proj", "lm_head"], "exclude_modules": ["lm_head"]`, "0.q 1.q"},
		{`"target_modules": ["lm_head", "embed_tokens"], "layers_to_transform": [0, 1]`, "lm_head"}, // by its whole name
		{`"target_modules": ["self_attn.q_proj", "no_such"]`, "0.q 1.q"},
		{`"target_modules": ["proj"]`, ""}, // whole parts only
		{`"target_modules": "all-linear"`, "0.q 0.k 0.v 0.o 0.gate 0.up 0.down 1.q 1.k 1.v 1.o 1.gate 1.up 1.down"},
		{`"target_modules": "ALL-linear", "exclude_modules": ["mlp.up_proj", "o_proj"]`,
			"0.q 0.k 0.v 0.gate 0.down 1.q 1.k 1.v 1.gate 1.down"},
		{`"target_modules": ".*\\.0\\..*(q|k)_proj"`, "0.q 0.k"},
		{`"target_modules": "q_proj"`, ""}, // a pattern is of the whole name
		{`"target_modules": ".*q_proj|.*down_proj", "exclude_modules": ".*\\.1\\..*"`, "0.q 0.down"},
		{`"target_modules": ["q_proj"], "exclude_modules": "q_proj"`, "0.q 1.q"},
		{`"target_modules": ["q_proj"], "exclude_modules": ["model.layers.1.self_attn.q_proj"]`, "0.q"},
		{`"target_modules": ["q_proj", "up_proj"], "layers_to_transform": 1`, "1.q 1.up"},
		{`"target_modules": ["q_proj"], "layers_to_transform": [0, 1], "layers_pattern": "layers"`, "0.q 1.q"},
		{`"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "layers"]`, "1.q"},
		{`"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["blocks"]`, ""},
		{`"target_modules": ["q_proj"], "layers_to_transform": []`, "0.q 1.q"},
		{`"target_modules": ["v_proj", "model.layers.0.self_attn.q_proj"], "layers_to_transform": [1]`,
			"0.q 1.v"}, // a whole name goes first
	} {
		p, err := parsePEFTConfig([]byte(`{"peft_type": "LORA", ` + c.fields + `}`))
		if err != nil {
			t.Errorf("%s: %v", c.fields, err)
			continue
		}
		var got []string
		for _, s := range all {
			if p.chooses(s, false) {
				block, name, _ := strings.Cut(strings.TrimPrefix(s.name, "model.layers."), ".")
				got = append(got, strings.TrimSuffix(block+"."+strings.TrimSuffix(lastPart(name), "_proj"), "."))
			}
		}
		if err := p.err(); err != nil {
			t.Errorf("%s: %v", c.fields, err)
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s adapts %q, want %q", c.fields, g, c.want)
		}
	}
}

// The ranks and alphas of layers, as PEFT finds them: the first pattern that matches the
// name's end, from a dot or the beginning on.
func TestPEFTPatterns(t *testing.T) {
	const name = "model.layers.10.self_attn.q_proj"
	for _, c := range []struct {
		patterns string
		want     int
	}{
		{`{}`, 3},
		{`{"q_proj": 5}`, 5},
		{`{"proj": 5}`, 3},
		{`{"self_attn.q_proj": 5}`, 5},
		{`{"model.layers.10.self_attn.q_proj": 5}`, 5},
		{`{"layers.1.self_attn.q_proj": 5}`, 3},
		{`{"v_proj|q_proj": 5}`, 5},
		{`{"layers\\.\\d+\\.self_attn\\..*": 5}`, 5},
		{`{"z": 9, ".*proj": 5, "q_proj": 7, "a": 1}`, 5}, // in the file's order
		{`{"q_proj": 7, ".*proj": 5}`, 7},
		{`{"^model.*q_proj": 5}`, 5},
		{`{"q_proj.*x": 5}`, 3},
	} {
		p, err := parsePEFTConfig([]byte(`{"r": 3, "lora_alpha": 3, "rank_pattern": ` + c.patterns +
			`, "alpha_pattern": ` + c.patterns + `, "peft_type": "LORA"}`))
		if err != nil {
			t.Errorf("%s: %v", c.patterns, err)
			continue
		}
		if rank, alpha := p.of(name); rank != c.want || alpha != float64(c.want) {
			t.Errorf("%s: rank %d, alpha %g, want both %d", c.patterns, rank, alpha, c.want)
		}
	}
}

// badPEFTConfigs are fields of adapter_config.json, beside those of a good one, and what
// the error says.
var badPEFTConfigs = []struct{ fields, want string }{
	{`"use_dora": true, "lora_bias": true`, "field lora_bias: want false beside use_dora, got true"},
	{`"use_dora": 1`, "field use_dora: want true or false, got 1"},
	{`"lora_bias": "all"`, `field lora_bias: want true or false, got "all"`},
	{`"lora_bias": true, "target_modules": ["q_proj", "lm_head"]`, "field bias: want false beside lm_head, got true"},
	{`"use_dora": true, "target_modules": ["q_proj", "embed_tokens"]`, "field method: want multilora, lora or rslora beside model.embed_tokens, got dora"},
	{`"modules_to_save": "lm_head"`, `field modules_to_save: want a list of names, got "lm_head"`},
	{`"ensure_weight_tying": 1`, `field ensure_weight_tying: want true or false, got 1`},
	{`"modules_to_save": ["v_proj"]`, "field target_modules: want layers of the model, which has embed_tokens, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head, got none of them"},
	{`"layer_replication": [[0, 4], [2, 5]]`, "field layer_replication: want null, false or empty"},
	{`"trainable_token_indices": "5"`, `field trainable_token_indices: want a list of token ids, or an object of such lists by module, got "5"`},
	{`"trainable_token_indices": [5, -1]`, "field trainable_token_indices: want a list of token ids, or an object"},
	{`"trainable_token_indices": {"norm": [5]}`, `field trainable_token_indices: want rows of embed_tokens and lm_head, got some of "norm"`},
	{`"trainable_token_indices": [5, 61]`, "field tokens: want tokens of the model's, below 61, got 61 of model.embed_tokens"},
	{`"trainable_token_indices": [5, 7, 5]`, "field tokens: want each token once, got 5 of embed_tokens again"},
	{`"trainable_token_indices": [5], "modules_to_save": ["embed_tokens"]`, "field tokens: want none of model.embed_tokens, which has modules beside it or trains in full"},
	{`"use_qalora": true`, "field use_qalora: want null"},
	{`"alora_invocation_tokens": [1]`, "field alora_invocation_tokens: want null"},
	{`"no_such_field": 0`, "field no_such_field: want null, false or empty: it may change what the adapter computes, and is not known here, got 0"},
	{`"no_such_field": "x"`, `got "x"`},
	{`"no_such_field": {"a": {}}`, `got {"a": {}}`},
	{`"bias": "all"`, `field bias: want "none", got "all"`},
	{`"bias": "lora_only"`, `field bias: want "none", got "lora_only"`},
	{`"init_lora_weights": "pissa_niter_16"`, `field init_lora_weights: want a beginning that leaves the base model's weights alone (let PEFT convert the adapter), got "pissa_niter_16"`},
	{`"r": 0`, "field r: want a whole number from 1 to 65536, got 0"},
	{`"r": 1e9`, "field r: want a whole number from 1 to 65536, got 1e9"},
	{`"r": 2.5`, "field r: want a whole number"},
	{`"r": "8"`, `field r: want a whole number from 1 to 65536, got "8"`},
	{`"lora_alpha": -1`, "field lora_alpha: want a positive number, got -1"},
	{`"lora_alpha": 1e999`, "field lora_alpha: want a positive number, got 1e999"},
	{`"lora_dropout": 1`, "field lora_dropout: want at least 0 and below 1, got 1"},
	{`"lora_dropout": "a"`, `field lora_dropout: want a number, got "a"`},
	{`"use_rslora": 1`, "field use_rslora: want true or false, got 1"},
	{`"rank_pattern": {"q_proj": 0}`, "field rank_pattern: q_proj: want a whole number from 1 to 65536, got 0"},
	{`"rank_pattern": {"q_(proj": 1}`, "field rank_pattern: want a regular expression that is known here (error parsing regexp: missing closing )"},
	{`"rank_pattern": {"(?=q)(?P<a>q)": 1}`, "field rank_pattern: want a regular expression without (?P<, which is not read as Python reads it"},
	{`"rank_pattern": {"(` + strings.Repeat("x", 200) + `){1000}": 1}`,
		"field rank_pattern: want counted repetitions in patterns of at most 200 bytes only"},
	{`"target_modules": ["` + strings.Repeat("{", 17) + `"]`,
		"want at most 16 counted repetitions in patterns, got 17"},
	{`"rank_pattern": [4]`, "field rank_pattern: want an object of patterns and numbers, got [4]"},
	{`"alpha_pattern": {"q_proj": "x"}`, `field alpha_pattern: q_proj: want a positive number, got "x"`},
	{`"target_modules": 5`, "field target_modules: want a list of names or a pattern, got 5"},
	{`"target_modules": ["q_proj", 5]`, "field target_modules: want a list of names or a pattern"},
	{`"target_modules": "(", "x": null`, "field target_modules: want a regular expression"},
	{`"target_modules": ["query_key_value"]`, "field target_modules: want layers of the model, which has embed_tokens, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head, got none of them"},
	{`"exclude_modules": {"a": 1}`, "field exclude_modules: want a list of names or a pattern"},
	{`"layers_to_transform": "1"`, `field layers_to_transform: want a whole number or a list of them, got "1"`},
	{`"layers_to_transform": [0], "target_modules": ".*q_proj"`,
		"field layers_to_transform: want null beside a target_modules that is one string"},
	{`"layers_pattern": 1`, "field layers_pattern: want a string or a list of strings, got 1"},
	{`"peft_type": "IA3"`, `field peft_type: want "LORA", got "IA3"`},
	{`"r": 4, "lora_dropout": 0, "r": 8`, `field r: want each name once, got it twice`},
	{`"` + strings.Repeat("x", 1000) + `": 1`, strings.Repeat("x", 100) + ": want null"},
	{`"deep": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "exceeded max depth"},
}

// Whatever is wrong with a PEFT folder is named, with the file, and the model stays as it
// was.
func TestLoadPEFTErrors(t *testing.T) {
	d := open(t, 1)
	good := t.TempDir()
	cfg := kinds()["lora"]
	cfg.Targets = []string{"v_proj"} // [8, 24]
	a := attach(t, tiny(t, d), cfg)
	a.Base = "some/base"
	if err := a.SavePEFT(good); err != nil {
		t.Fatal(err)
	}
	fails := func(t *testing.T, dir, file, want string) {
		t.Helper()
		m := tiny(t, d)
		_, err := LoadPEFT(m, dir, Options{})
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), filepath.Join(dir, file)) {
			t.Errorf("got error %v, want it to name %s and say %q", err, file, want)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		untouched(t, m)
	}
	for _, c := range badPEFTConfigs {
		t.Run(fmt.Sprintf("%.40s", c.fields), func(t *testing.T) {
			dir := t.TempDir()
			text := `{"peft_type": "LORA", "target_modules": ["v_proj"], "r": 6}`
			for _, key := range []string{"peft_type", "target_modules", "r"} { // which the case replaces
				if strings.Contains(c.fields, `"`+key+`":`) {
					text = map[string]string{
						"peft_type":      `{"target_modules": ["v_proj"], "r": 6}`,
						"target_modules": `{"peft_type": "LORA", "r": 6}`,
						"r":              `{"peft_type": "LORA", "target_modules": ["v_proj"]}`,
					}[key]
				}
			}
			write(t, filepath.Join(dir, PEFTConfigFile), strings.TrimSuffix(text, "}")+", "+c.fields+"}")
			fails(t, dir, PEFTConfigFile, c.want)
		})
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty": {"", "want a JSON object"},
		"Python's Infinity": {`{"peft_type": "LORA", "lora_alpha": Infinity}`,
			"field lora_alpha: want a number of JSON, got Infinity, which Python's json module writes"},
		"a list":    {"[1]", "want a JSON object, got a list"},
		"cut short": {`{"peft_type": "LORA`, "want a JSON object, got"},
		"more behind": {`{"peft_type": "LORA"} x`,
			"want a JSON object, got invalid character 'x' after top-level value"},
		"of another kind":   {`{"format": "agora-adapter"}`, `field peft_type: want "LORA", got none`},
		"without peft_type": {`{"r": 6}`, `field peft_type: want "LORA", got none`},
		"huge":              {strings.Repeat(" ", maxInfo+1), "want at most 1048576 bytes, got 1048577"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, PEFTConfigFile), c.text)
			fails(t, dir, PEFTConfigFile, c.want)
		})
	}

	const first = "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight"
	tensors := peftTensors(t, good)
	zeros := func(ts map[string]safetensors.Tensor, name string, shape ...int) {
		ts[name] = safetensors.FromFloat32s(name, shape, make([]float32, shape[0]*shape[1]))
	}
	for name, c := range map[string]struct {
		change func(map[string]safetensors.Tensor)
		want   string
	}{
		"missing tensor": {func(ts map[string]safetensors.Tensor) { delete(ts, first) },
			`tensor "` + first + `": want shape [6 24], got no such tensor (the adapter was made for "some/base")`},
		"another rank": {func(ts map[string]safetensors.Tensor) { zeros(ts, first, 5, 24) },
			`tensor "` + first + `": want shape [6 24] beside this model's weight f32[8 24], got [5 24]`},
		"another model's": {func(ts map[string]safetensors.Tensor) {
			zeros(ts, strings.Replace(first, "layers.0", "layers.2", 1), 6, 24)
		},
			`layers.2.self_attn.v_proj.lora_A.weight": want lora_A and lora_B of the 2 layers`},
		"a head": {func(ts map[string]safetensors.Tensor) {
			zeros(ts, "base_model.model.lm_head.weight", 61, 24)
		},
			`tensor "base_model.model.lm_head.weight": want lora_A and lora_B of the 2 layers, and the 0 parameters, that adapter_config.json chooses`},
		"DoRA": {func(ts map[string]safetensors.Tensor) {
			zeros(ts, "base_model.model.model.layers.0.self_attn.v_proj.lora_magnitude_vector", 8, 1)
		}, `lora_magnitude_vector": want lora_A and lora_B`},
		"both spellings": {func(ts map[string]safetensors.Tensor) {
			zeros(ts, strings.Replace(first, ".weight", ".default.weight", 1), 6, 24)
		},
			`tensor "` + first + `": want it once, got "` + strings.Replace(first, ".weight", ".default.weight", 1) +
				`" too`},
		"whole numbers": {func(ts map[string]safetensors.Tensor) {
			ts[first] = safetensors.Tensor{Name: first, DType: safetensors.I32, Shape: []int{6, 24},
				Data: make([]byte, 6*24*4)}
		}, `tensor "` + first + `": want F64, F32, F16 or BF16, got I32`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copied(t, good)
			bad := maps.Clone(tensors)
			c.change(bad)
			golden.WriteTensors(t, filepath.Join(dir, PEFTTensorFile), nil, bad)
			fails(t, dir, PEFTTensorFile, c.want)
		})
	}
	dir := copied(t, good)
	if err := os.Rename(filepath.Join(dir, PEFTTensorFile), filepath.Join(dir, "adapter_model.bin")); err != nil {
		t.Fatal(err)
	}
	fails(t, dir, "", "adapter_model.bin: want a zip archive of torch.save")
	dir = copied(t, good)
	if err := os.Truncate(filepath.Join(dir, PEFTTensorFile), 300); err != nil {
		t.Fatal(err)
	}
	fails(t, dir, PEFTTensorFile, "a file that has")
}

// untouched fails unless the model has its own layers and all of them train.
func untouched(t *testing.T, m any) {
	t.Helper()
	for name, layer := range nn.Layers(m) {
		if _, ok := (*layer).(*nn.Linear); !ok {
			t.Errorf("%s holds a %T now", name, *layer)
		}
	}
	for name, p := range nn.Params(m) {
		if p.Frozen {
			t.Errorf("%s is frozen now", name)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func FuzzPEFTConfig(f *testing.F) {
	text, err := os.ReadFile(filepath.Join(golden.Folder(f), "peft-lora", PEFTConfigFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, c := range badPEFTConfigs {
		if len(c.fields) < 2000 {
			f.Add([]byte(`{"peft_type": "LORA", ` + c.fields + `}`))
		}
	}
	f.Add([]byte(`{"peft_type": "LORA", "target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": "layers", "rank_pattern": {"q": 2}}`))
	names := []string{"model.layers.0.self_attn.q_proj", "model.layers.17.mlp.down_proj", "0"}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parsePEFTConfig(text)
		if err == nil {
			err = c.err()
		}
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		for _, name := range names {
			rank, alpha := c.of(name)
			cfg := Config{Method: MethodLoRA, Modules: 1, Rank: rank, Alpha: alpha, Scaling: ScalingScalar,
				Targets: []string{AllLinear}, Dropout: c.dropout}
			if err := cfg.Validate(); err != nil {
				t.Errorf("%s of %q: %v", name, text, err)
			}
			if c.adapts(name) && slices.Contains(c.exclude.list, name) {
				t.Errorf("%q adapts %s, which it excludes", text, name)
			}
		}
	})
}
