package llama

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/ops"
)

// with is a config.json of a LLaMA with some fields replaced; a nil value removes one.
func with(t testing.TB, changes map[string]any) []byte {
	t.Helper()
	fields := map[string]any{
		"model_type": "llama", "vocab_size": 320, "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "hidden_act": "silu",
		"rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2,
	}
	for name, v := range changes {
		if fields[name] = v; v == nil {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParseConfig(t *testing.T) {
	type object = map[string]any
	null := json.RawMessage("null")
	llama3 := object{"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
		"original_max_position_embeddings": 32, "rope_type": "llama3", "rope_theta": 500.0}
	for name, c := range map[string]struct {
		changes object
		want    func(c *Config)
	}{
		"plain":               {nil, func(*Config) {}},
		"heads are key heads": {object{"num_key_value_heads": nil}, func(c *Config) { c.KVHeads = 4 }},
		"head_dim":            {object{"head_dim": 32}, func(c *Config) { c.HeadDim = 32 }},
		"null is not there": {object{"head_dim": json.RawMessage("null"),
			"quantization_config": json.RawMessage("null")}, func(*Config) {}},
		"several ends": {object{"eos_token_id": []int{2, 7}}, func(c *Config) { c.EOS = []int32{2, 7} }},
		"no ends":      {object{"eos_token_id": nil, "bos_token_id": nil}, func(c *Config) { c.EOS, c.BOS = nil, -1 }},
		"tied":         {object{"tie_word_embeddings": true}, func(c *Config) { c.Tied = true }},
		"biases": {object{"attention_bias": true, "mlp_bias": true},
			func(c *Config) { c.QKVBias, c.OBias, c.MLPBias = true, true, true }},
		"theta, older": {object{"rope_theta": 500.0}, func(c *Config) { c.RoPE.Theta = 500 }},
		"theta, newer": {object{"rope_parameters": object{"rope_theta": 500.0, "rope_type": "default"}},
			func(c *Config) { c.RoPE.Theta = 500 }},
		"linear, oldest": {object{"rope_scaling": object{"type": "linear", "factor": 4.0}},
			func(c *Config) { c.RoPE.Factor = 4 }},
		"linear, newer": {object{"rope_parameters": object{"rope_type": "linear", "factor": 4.0}},
			func(c *Config) { c.RoPE.Factor = 4 }},
		"llama3": {object{"rope_parameters": llama3}, func(c *Config) {
			c.RoPE = ops.RoPEScaling{Theta: 500, Factor: 8, OriginalPositions: 32, LowFreqFactor: 1, HighFreqFactor: 4}
		}},
		"llama3, both spellings": {object{"rope_parameters": llama3, "rope_scaling": llama3, "rope_theta": 500.0},
			func(c *Config) {
				c.RoPE = ops.RoPEScaling{Theta: 500, Factor: 8, OriginalPositions: 32, LowFreqFactor: 1,
					HighFreqFactor: 4}
			}},
		"mistral": {object{"model_type": "mistral", "sliding_window": 9},
			func(c *Config) { c.ModelType, c.Windows = "mistral", []int{9, 9} }},
		"mistral without a window": {object{"model_type": "mistral", "sliding_window": null},
			func(c *Config) { c.ModelType = "mistral" }},
		"mistral that says nothing": {object{"model_type": "mistral"},
			func(c *Config) { c.ModelType, c.Windows = "mistral", []int{4096, 4096} }},
		"mistral, layer types": {object{"model_type": "mistral", "sliding_window": 9,
			"layer_types": []string{"sliding_attention", "full_attention"}}, func(c *Config) {
			c.ModelType, c.Windows = "mistral", []int{9, 0}
		}},
		"llama, a window that it has not": {object{"sliding_window": 9}, func(*Config) {}},
		"qwen2, window not used": {object{"model_type": "qwen2", "sliding_window": 9},
			func(c *Config) { c.ModelType, c.QKVBias = "qwen2", true }},
		"qwen2, window from a layer on": {object{"model_type": "qwen2", "sliding_window": 9,
			"use_sliding_window": true, "max_window_layers": 1}, func(c *Config) {
			c.ModelType, c.QKVBias, c.Windows = "qwen2", true, []int{0, 9}
		}},
		"qwen2, window of the family": {object{"model_type": "qwen2", "use_sliding_window": true,
			"max_window_layers": 0}, func(c *Config) {
			c.ModelType, c.QKVBias, c.Windows = "qwen2", true, []int{4096, 4096}
		}},
		"qwen2, window in later layers": {object{"model_type": "qwen2", "use_sliding_window": true}, func(c *Config) {
			c.ModelType, c.QKVBias = "qwen2", true // from layer 28 on
		}},
		"qwen2, no window": {object{"model_type": "qwen2", "use_sliding_window": true,
			"sliding_window": null}, func(c *Config) { c.ModelType, c.QKVBias = "qwen2", true }},
		"qwen2, full in all layers": {object{"model_type": "qwen2",
			"layer_types": []string{"full_attention", "full_attention"}},
			func(c *Config) { c.ModelType, c.QKVBias = "qwen2", true }},
		"qwen2, layer types": {object{"model_type": "qwen2", "sliding_window": 9, "use_sliding_window": true,
			"layer_types": []string{"sliding_attention", "full_attention"}}, func(c *Config) {
			c.ModelType, c.QKVBias, c.Windows = "qwen2", true, []int{9, 0}
		}},
	} {
		want := Config{
			ModelType: "llama", Vocab: 320, Hidden: 64, Intermediate: 172, Layers: 2, Heads: 4, KVHeads: 2,
			HeadDim: 16, MaxPositions: 256,
			NormEps: 1e-5, InitRange: 0.02, BOS: 1, EOS: []int32{2}, RoPE: ops.RoPEScaling{Theta: 10000},
		}
		c.want(&want)
		got, err := parseConfig("config.json", with(t, c.changes))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// What is written says the same again.
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseConfig("written", text)
		if err != nil {
			t.Errorf("%s: as written again: %v", name, err)
		}
		got.source, again.source = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
		if !reflect.DeepEqual(again, want) {
			t.Errorf("%s, written and read:\n got %+v\nwant %+v", name, again, want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	type object = map[string]any
	rope := func(fields object) object { return object{"rope_scaling": fields} }
	for want, changes := range map[string]object{
		`model_type: want ` + oneOf(modelTypes()) +
			`, got "gpt2"`: {"model_type": "gpt2"},
		`model_type: want ` + oneOf(modelTypes()) +
			`, got ""`: {"model_type": nil},
		`hidden_act: want "silu", got "gelu"`:                                                                    {"hidden_act": "gelu"},
		`quantization_config.quant_method: want "`:                                                               {"quantization_config": object{"bits": 4}},
		`partial_rotary_factor: want 1, got 0.5`:                                                                 {"partial_rotary_factor": 0.5},
		`vocab_size: want 1 to 2147483647, got none`:                                                             {"vocab_size": json.RawMessage("null")},
		`max_position_embeddings: want 1 to 2147483647, got none`:                                                {"max_position_embeddings": json.RawMessage("null")},
		`hidden_size: want 1 to 2147483647, got 0`:                                                               {"hidden_size": 0},
		`hidden_size: want a whole number, got "64"`:                                                             {"hidden_size": "64"},
		`hidden_size: want 0 to 2147483647, got -64`:                                                             {"hidden_size": -64},
		`num_hidden_layers: want 1 to 65536, got 2147483647`:                                                     {"num_hidden_layers": 1<<31 - 1},
		`num_key_value_heads: want a divisor of the 4 heads, got 3`:                                              {"num_key_value_heads": 3},
		`num_key_value_heads: want a divisor of the 4 heads, got 8`:                                              {"model_type": "mistral", "num_key_value_heads": nil},
		`num_key_value_heads: want a divisor of the 4 heads, got 32`:                                             {"model_type": "qwen2", "num_key_value_heads": nil},
		`sliding_window: want 1 to 2147483647, got 0`:                                                            {"model_type": "mistral", "sliding_window": 0},
		`layer_types: want "full_attention" where no sliding_window is used, got "sliding_attention" of layer 1`: {"model_type": "qwen2", "sliding_window": 3, "layer_types": []string{"full_attention", "sliding_attention"}},
		`head_dim: want an even number, got 15`:                                                                  {"head_dim": 15},
		`rms_norm_eps: want 0 to 1, got -1`:                                                                      {"rms_norm_eps": -1},
		`tie_word_embeddings: want true or false, got 1`:                                                         {"tie_word_embeddings": 1},
		`eos_token_id: want a token id or a list of them, got "end"`:                                             {"eos_token_id": "end"},
		`rope_scaling.rope_type: want ` + ropeTypes + `, got "proportional"`:                                     rope(object{"rope_type": "proportional", "factor": 2}),
		`rope_scaling.beta_fast: want turns above 0, as beta_slow's, got -1 1`:                                   rope(object{"type": "yarn", "factor": 2, "beta_fast": -1}),
		`rope_scaling.long_factor: want a list of numbers above 0, got none`:                                     rope(object{"type": "longrope", "short_factor": []int{1}}),
		`rope_scaling.short_factor: want a list of numbers above 0, got [1 0]`:                                   rope(object{"type": "longrope", "long_factor": []int{1, 1}, "short_factor": []int{1, 0}}),
		`short_factor, long_factor: want 8 numbers each, got 1 and 2`:                                            rope(object{"type": "su", "long_factor": []int{1, 1}, "short_factor": []int{1}}),
		`rope_scaling.partial_rotary_factor: want 1, got 0.5`:                                                    rope(object{"rope_type": "default", "partial_rotary_factor": 0.5}),
		`partial_rotary_factor: want a number above 0, at most 1, got 0`:                                         {"model_type": "phi3", "partial_rotary_factor": 0},
		`partial_rotary_factor: want an even number of a head's 16 elements, got 3`:                              {"model_type": "phi3", "partial_rotary_factor": 0.2},
		`hidden_activation: want "gelu_pytorch_tanh", got "silu"`:                                                {"model_type": "gemma2", "hidden_activation": "silu"},
		`use_bidirectional_attention: want false, got true`:                                                      {"model_type": "gemma3_text", "use_bidirectional_attention": true},
		`attn_logit_softcapping: want a number above 0, got -1`:                                                  {"model_type": "gemma2", "attn_logit_softcapping": -1},
		`no_rope_layers: want 2 layers, got 1`:                                                                   {"model_type": "smollm3", "no_rope_layers": []int{1}},
		`logits_scaling: want a number above 0, got 0`:                                                           {"model_type": "granite", "logits_scaling": 0},
		`rope_parameters.full_attention.rope_type: want ` + ropeTypes:                                            {"model_type": "gemma3_text", "rope_parameters": object{"full_attention": object{"rope_type": "x"}}},
		`rope_parameters.other_attention: want no such field`:                                                    {"model_type": "gemma3_text", "rope_parameters": object{"other_attention": object{"rope_type": "x"}}},
		`rope_scaling.factor: want a number above 0, got none`:                                                   rope(object{"type": "linear"}),
		`rope_scaling.mrope_section: want no such field, got [1]`:                                                rope(object{"rope_type": "default", "mrope_section": []int{1}}),
		`rope_scaling.high_freq_factor: want more than the low_freq_factor, 4, got 1`:                            rope(object{"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1, "original_max_position_embeddings": 8}),
		`rope_scaling: want the same as rope_parameters, or nothing, got {"rope_type":"def`:                      {"rope_parameters": object{"rope_type": "linear", "factor": 2}, "rope_scaling": object{"rope_type": "default"}},
		`rope_theta: want 500, as rope_parameters.rope_theta says, got 10000`:                                    {"rope_theta": 10000, "rope_parameters": object{"rope_theta": 500.0}},
		`layer_types: want 2 layers, got 1`:                                                                      {"model_type": "mistral", "sliding_window": 3, "layer_types": []string{"full_attention"}},
		`layer_types: want "full_attention" or "sliding_attention", got "chunked_attention"`:                     {"model_type": "mistral", "sliding_window": 3, "layer_types": []string{"full_attention", "chunked_attention"}},
	} {
		_, err := parseConfig("some/config.json", with(t, changes))
		if err == nil || !strings.Contains(err.Error(), "some/config.json: "+want) {
			t.Errorf("got  %v\nwant …%s", err, want)
		}
	}
	for text, want := range map[string]string{
		"":                         "llama: c: want a JSON object, got its end (line 1)",
		"null":                     "llama: c: want a JSON object, got null (line 1)",
		"[]":                       "llama: c: want a JSON object, got a list (line 1)",
		"{":                        "llama: c: want a JSON object, got its end (line 1)",
		strings.Repeat("[", 1<<20): "llama: c: want a JSON object, got exceeded max depth (line 1)",
		"{\"hidden_size\": 64,\n\"hidden_size\": 32}":                                 "llama: c: hidden_size: want each name once, got it twice (line 2)",
		"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2,\n\n\"factor\": 4}}": "llama: c: rope_scaling.factor: want each name once, got it twice (line 3)",
		"{\"rms_norm_eps\": NaN}":                                                     "llama: c: rms_norm_eps: want a number of JSON, got NaN, which Python's json module writes (line 1)",
		"{\"a\": [-Infinity]}":                                                        "llama: c: a[0]: want a number of JSON, got -Infinity, which Python's json module writes (line 1)",
	} {
		if _, err := parseConfig("c", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// Names are case-sensitive: what is spelled otherwise is another field.
func TestConfigNamesAreCaseSensitive(t *testing.T) {
	c, err := parseConfig("c", with(t, map[string]any{"Hidden_Size": 128, "RMS_NORM_EPS": 0.5, "Vocab_size": 7,
		"Model_Type": "qwen2"}))
	if err != nil || c.Hidden != 64 || c.NormEps != 1e-5 || c.Vocab != 320 || c.ModelType != "llama" {
		t.Errorf("got %+v, error %v", c, err)
	}
}

// What a config.json does not say is what transformers takes for its family.
func TestConfigDefaults(t *testing.T) {
	for kind, want := range map[string]Config{
		"llama": {Vocab: 32000, Hidden: 4096, Intermediate: 11008, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128,
			MaxPositions: 2048},
		"mistral": {Vocab: 32000, Hidden: 4096, Intermediate: 14336, Layers: 32, Heads: 32, KVHeads: 8, HeadDim: 128,
			MaxPositions: 131072,
			Windows:      slices.Repeat([]int{4096}, 32)},
		"qwen2": {Vocab: 151936, Hidden: 4096, Intermediate: 22016, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128,
			MaxPositions: 32768, QKVBias: true},
	} {
		want.ModelType, want.NormEps, want.InitRange, want.BOS, want.RoPE.Theta = kind, 1e-6, 0.02, -1, 10000
		got, err := parseConfig("c", []byte(`{"model_type": "`+kind+`"}`))
		if got.source = nil; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: error %v\n got %+v\nwant %+v", kind, err, got, want)
		}
	}
}

// A Config made by hand is written so that it reads as itself.
func TestConfigByHand(t *testing.T) {
	for _, c := range []struct {
		kind    string
		windows []int
	}{{"mistral", nil}, {"mistral", []int{7, 7}}, {"mistral", []int{0, 7}}, {"qwen2", nil}, {"qwen2", []int{7, 0}},
		{"llama", nil}} {
		want, err := parseConfig("c", with(t, map[string]any{"model_type": c.kind}))
		if err != nil {
			t.Fatal(err)
		}
		want.source, want.Windows = nil, c.windows
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseConfig("written", text)
		if got.source = nil; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s %v: error %v\n got %+v\nwant %+v", c.kind, c.windows, err, got, want)
		}
	}
	c, err := parseConfig("c", with(t, map[string]any{"model_type": "mistral"}))
	c.Windows = []int{3, 5}
	if _, err2 := json.Marshal(c); err != nil || err2 == nil ||
		!strings.Contains(err2.Error(), "sliding_window: want one window for all layers that have one, got [3 5]") {
		t.Errorf("errors %v, %v", err, err2)
	}
}

// What ends a text may stand in generation_config.json; fields that Config does not
// know are kept when a config is written.
func TestReadConfig(t *testing.T) {
	dir := copyModel(t, golden.Folder(t), with(t, map[string]any{"some_other_program": "x"}))
	c, err := ReadConfig(dir)
	if err != nil || !slices.Equal(c.EOS, []int32{2}) {
		t.Errorf("EOS is %v, error %v; want [2]", c.EOS, err)
	}
	if err := os.WriteFile(filepath.Join(dir, generationFile), []byte(`{"eos_token_id": [5, 6]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if c, err = ReadConfig(dir); err != nil || !slices.Equal(c.EOS, []int32{5, 6}) {
		t.Errorf("EOS is %v, error %v; want [5 6]", c.EOS, err)
	}
	text, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(text), `"some_other_program":"x"`) ||
		!strings.Contains(string(text), `"eos_token_id":[5,6]`) {
		t.Errorf("written config is %s, error %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(dir, generationFile), []byte(`[]`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig(dir); err == nil || !strings.Contains(err.Error(), generationFile) {
		t.Errorf("error %v, want one that names %s", err, generationFile)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(with(f, nil))
	f.Add([]byte(`{"rope_scaling":{"type":"linear","factor":1e999}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig("config.json", text)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%s was read but cannot be written: %v", text, err)
		}
		if _, err := parseConfig("again", again); err != nil {
			t.Fatalf("%s was written as %s: %v", text, again, err)
		}
	})
}
