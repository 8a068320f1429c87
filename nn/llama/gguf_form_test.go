package llama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/ops"
)

// layoutOf is the layout of a family, of 8 query and 2 key heads.
func layoutOf(t *testing.T, modelType string) GGUFLayout {
	t.Helper()
	c := Config{ModelType: modelType, Heads: 8, KVHeads: 2}
	l, err := c.GGUFLayout()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestGGUFNames(t *testing.T) {
	layout := layoutOf(t, "llama")
	for name, hf := range map[string]string{
		"token_embd.weight":            "model.embed_tokens.weight",
		"output.weight":                "lm_head.weight",
		"blk.0.attn_q.weight":          "model.layers.0.self_attn.q_proj.weight",
		"blk.31.attn_output.bias":      "model.layers.31.self_attn.o_proj.bias",
		"blk.10.ffn_norm.weight":       "model.layers.10.post_attention_layernorm.weight",
		"blk.2.ffn_down.weight":        "model.layers.2.mlp.down_proj.weight",
		"output_norm.weight":           "model.norm.weight",
		"blk.7.attn_norm.weight":       "model.layers.7.input_layernorm.weight",
		"rope_freqs.weight":            "",
		"blk.0.attn_norm.bias":         "",
		"blk.00.attn_q.weight":         "",
		"blk.-1.attn_q.weight":         "",
		"blk.+1.attn_q.weight":         "",
		"blk.9999999999.attn_q.weight": "",
		"blk..attn_q.weight":           "",
		"blk.0":                        "",
		"0.attn_q.weight":              "",
		"blk.0.ffn_gate_exps.weight":   "",
		"":                             "",
	} {
		if got, ok := layout.HFName(name); got != hf || ok != (hf != "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, ok, hf)
		}
		if got, ok := layout.Name(hf); hf != "" && (got != name || !ok) {
			t.Errorf("%s: got %q, %v, want %q", hf, got, ok, name)
		}
	}
	for _, hf := range []string{"", "model.layers.0.self_attn.rotary_emb.inv_freq", "blk.0.attn_q.weight",
		"model.layers.01.mlp.up_proj.weight"} {
		if got, ok := layout.Name(hf); ok {
			t.Errorf("%q became %q", hf, got)
		}
	}
}

func TestGGUFHeads(t *testing.T) {
	for name, want := range map[string]int{
		"model.layers.3.self_attn.q_proj.weight": 8, "model.layers.3.self_attn.q_proj.bias": 8,
		"model.layers.3.self_attn.k_proj.weight": 2, "model.layers.3.self_attn.k_proj.bias": 2,
		"model.layers.3.self_attn.v_proj.weight": 0, "model.layers.3.self_attn.o_proj.bias": 0,
		"model.layers.3.self_attn.q_proj": 0, "model.embed_tokens.weight": 0, "": 0,
	} {
		for modelType, want := range map[string]int{"llama": want, "mistral": want, "qwen2": 0} {
			if got := layoutOf(t, modelType).Heads(name); got != want {
				t.Errorf("%s: %s: got %d heads, want %d", modelType, name, got, want)
			}
		}
	}
}

func TestInterleave(t *testing.T) {
	// Two heads of six rows; a row is two bytes, the same twice.
	rows := func(s string) (b []byte) {
		for i := range s {
			b = append(b, s[i], s[i])
		}
		return b
	}
	hf, want := rows("abcdefABCDEF"), rows("adbecfADBECF")
	if got, err := Interleave(hf, 12, 2); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
	if got, err := Deinterleave(want, 12, 2); err != nil || !bytes.Equal(got, hf) {
		t.Errorf("back: got %s, error %v, want %s", got, err, hf)
	}
}

// Reordering rows and quantizing them are the same in any order, and undo each other.
func TestInterleaveRoundTrip(t *testing.T) {
	const heads, dim, columns = 3, 10, 64
	values := make([]float32, heads*dim*columns)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q4_0} {
		x, err := gguf.FromFloat32s("x", typ, []int{heads * dim, columns}, values)
		if err != nil {
			t.Fatal(err)
		}
		y := x
		if y.Data, err = Interleave(x.Data, heads*dim, heads); err != nil {
			t.Fatal(err)
		}
		if back, err := Deinterleave(y.Data, heads*dim, heads); err != nil || !bytes.Equal(x.Data, back) {
			t.Errorf("%s: not the inverse, error %v", typ, err)
		}
		before, _ := x.Float32s()
		after, _ := y.Float32s()
		for h := range heads {
			for j := range 2 {
				for i := range dim / 2 { // output row 2i+j is input row j·d/2+i
					from, to := (h*dim+j*dim/2+i)*columns, (h*dim+2*i+j)*columns
					if !slices.Equal(before[from:from+columns], after[to:to+columns]) {
						t.Fatalf("%s: head %d: row %d is not at %d", typ, h, j*dim/2+i, 2*i+j)
					}
				}
			}
		}
	}
}

func TestInterleaveMistakes(t *testing.T) {
	for _, c := range []struct{ bytes, rows, heads int }{{24, 0, 1}, {24, 12, 0}, {24, 12, 5}, {24, 12, 4},
		{24, 16, 2}, {24, -12, -2}} {
		if _, err := Interleave(make([]byte, c.bytes), c.rows, c.heads); err == nil {
			t.Errorf("%d rows, %d heads, %d bytes: no error", c.rows, c.heads, c.bytes)
		}
	}
}

// ggufFile is a file of these keys and tensors.
func ggufFile(t testing.TB, metadata []gguf.KeyValue, tensors []gguf.Tensor) *gguf.File {
	t.Helper()
	var sources []gguf.Source
	for _, x := range tensors {
		sources = append(sources, x.Source())
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := gguf.Write(path, metadata, sources...); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse("m.gguf", read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ggufOf is a file with what config.json says, and the tensors that it is told by.
func ggufOf(t *testing.T, configJSON string, names ...string) *gguf.File {
	t.Helper()
	c, err := parseConfig("config.json", []byte(configJSON))
	if err != nil {
		t.Fatal(err)
	}
	metadata, tensors, err := c.ggufMetadata()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		tensors = append(tensors, gguf.Tensor{Name: name, Type: gguf.F32, Shape: []int{0}})
	}
	metadata = append(metadata, gguf.KeyValue{Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)},
		gguf.KeyValue{Key: ggufEOS, Value: uint32(2)})
	return ggufFile(t, metadata, tensors)
}

const sizes = `"vocab_size":320,"hidden_size":64,"intermediate_size":172,"num_hidden_layers":2,"num_attention_heads":4,` +
	`"num_key_value_heads":2,"head_dim":8,"max_position_embeddings":256,"rms_norm_eps":1e-5,"hidden_act":"silu","bos_token_id":1,"eos_token_id":2,"pad_token_id":null`

// What a config.json says comes back from the file that is made of it.
func TestGGUFConfigRoundTrip(t *testing.T) {
	llama := `"model_type":"llama","architectures":["LlamaForCausalLM"],"attention_bias":false,"mlp_bias":false,`
	for _, c := range []struct {
		name, in, out string
		tensors       []string
	}{
		{"llama", `"model_type":"llama","rope_theta":500000`,
			llama + `"rope_theta":500000,"rope_scaling":null,"tie_word_embeddings":false`, []string{"output.weight"}},
		{"biases and tied head", `"model_type":"llama"`,
			`"model_type":"llama","architectures":["LlamaForCausalLM"],"attention_bias":true,"mlp_bias":true,"rope_theta":10000,"rope_scaling":null,"tie_word_embeddings":true`,
			[]string{"blk.0.attn_q.bias", "blk.0.ffn_gate.bias"}},
		{"linear", `"model_type":"llama","rope_theta":20000,"rope_scaling":{"type":"linear","factor":2.5}`,
			llama + `"rope_theta":20000,"rope_scaling":{"rope_type":"linear","factor":2.5},"tie_word_embeddings":true`, nil},
		{"llama3", `"model_type":"llama","rope_parameters":{"rope_type":"llama3","rope_theta":1000,"factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32}`,
			llama + `"rope_theta":1000,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32},"tie_word_embeddings":true`, nil},
		{"yarn", `"model_type":"llama","rope_scaling":{"type":"yarn","factor":4,"original_max_position_embeddings":64,` +
			`"attention_factor":1,"beta_fast":16,"truncate":false}`,
			llama + `"rope_theta":10000,"rope_scaling":{"rope_type":"yarn","factor":4,"beta_fast":16,"beta_slow":1,` +
				`"attention_factor":1,"truncate":false,"original_max_position_embeddings":64},"tie_word_embeddings":true`, nil},
		{"mistral", `"model_type":"mistral","sliding_window":8,"rope_parameters":{"rope_type":"default","rope_theta":10000}`,
			`"model_type":"mistral","architectures":["MistralForCausalLM"],"sliding_window":8,"rope_theta":10000,"rope_scaling":null,"tie_word_embeddings":true`, nil},
		{"mistral of its family's window", `"model_type":"mistral","Sliding_Window":8`,
			`"model_type":"mistral","architectures":["MistralForCausalLM"],"sliding_window":4096,"rope_theta":10000,"rope_scaling":null,"tie_word_embeddings":true`, nil},
		{"mistral without a window", `"model_type":"mistral","sliding_window":null`,
			llama + `"rope_theta":10000,"rope_scaling":null,"tie_word_embeddings":true`, nil},
		{"qwen2", `"model_type":"qwen2","sliding_window":8,"use_sliding_window":false`,
			`"model_type":"qwen2","architectures":["Qwen2ForCausalLM"],"rope_theta":10000,"rope_scaling":null,"tie_word_embeddings":true`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := ggufConfigJSON(ggufOf(t, "{"+sizes+","+c.in+"}", c.tensors...))
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte("{"+sizes+","+c.out+"}"), &want); err != nil {
				t.Fatal(err)
			}
			rope := map[string]any{"rope_type": "default"} // in both spellings
			if scaling, ok := want["rope_scaling"].(map[string]any); ok {
				rope = scaling
			}
			rope["rope_theta"] = want["rope_theta"]
			want["rope_parameters"] = rope
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestGGUFConfigMistakes(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		`model_type: want ` + oneOf(modelTypes()) + `, got "gpt2"`: func(c *Config) { c.ModelType = "gpt2" },
		"use_sliding_window: want false": func(c *Config) {
			c.ModelType, c.Windows = "qwen2", []int{0, 9, 9}
		},
		"layer_types: want a window in every layer or in none": func(c *Config) {
			c.ModelType, c.Windows = "mistral", []int{0, 9, 9}
		},
		"sliding_window: want one window for all layers": func(c *Config) {
			c.ModelType, c.Windows = "mistral", []int{8, 9, 9}
		},
		"num_attention_heads: want 1 to": func(c *Config) { c.Heads = 0 },
		"head_dim: want at most 65536":   func(c *Config) { c.HeadDim = 1 << 20 },
		"rope_scaling: want LLaMA 3's factor": func(c *Config) {
			c.RoPE = ops.RoPEScaling{OriginalPositions: 9, Factor: 2}
		},
	} {
		c := small("llama")
		change(&c)
		if _, _, err := c.ggufMetadata(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	good := ggufOf(t, `{`+sizes+`,"model_type":"llama"}`).Metadata()
	for _, c := range []struct {
		key   string
		value any // nil: the key is removed
		want  string
	}{
		{"general.architecture", "gpt2", "want " + oneOf(architectures()) + `, got "gpt2"`},
		{"general.architecture", nil, "got none"},
		{"general.type", "adapter", `want "model", got the string "adapter"`},
		{"split.count", uint16(2), "a model in one file"},
		{"llama.block_count", nil, "want an integer, got none"},
		{"llama.block_count", "2", `got the string "2"`},
		{"llama.block_count", int32(-1), "want an integer from 0 on, got -1"},
		{"llama.attention.head_count", []int32{4, 4}, "got an array, []int32"},
		{"llama.attention.layer_norm_rms_epsilon", uint32(1), "want a number"},
		{"llama.attention.value_length", uint32(16), "want 8, got 16"},
		{"llama.rope.dimension_count", uint32(4), "want 8, got 4"},
		{"llama.rope.scaling.type", "ntk", `want "none", "linear", "yarn" or "longrope", got "ntk"`},
		{"llama.rope.freq_base", float32(0), "want a number above 0, got 0"},
		{"llama.expert_used_count", uint32(2), "want 0, got 2"},
		{"llama.logit_scale", float32(2), "no such key, which might change the model, got float32 2"},
	} {
		metadata := slices.DeleteFunc(slices.Clone(good), func(m gguf.KeyValue) bool { return m.Key == c.key })
		if c.value != nil {
			metadata = append(metadata, gguf.KeyValue{Key: c.key, Value: c.value})
		}
		f := ggufFile(t, metadata, nil)
		if _, err := ggufConfigJSON(f); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("m.gguf: key %q", c.key)) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: got error %v, want %q", c.key, c.value, err, c.want)
		}
	}
	for _, c := range []struct {
		factors []float32
		want    string
	}{
		{[]float32{1, 1, 1, 1}, ""},
		{[]float32{1, 1, 3.4918, 9}, ""}, // 1000 positions hold 159, 15.9, 1.59 and 0.159 waves
		{[]float32{1, 1, 1, 9}, ""},
		{[]float32{1, 2, 1, 9}, "want factors of LLaMA 3's rule, with original_max_position_embeddings 1000, low_freq_factor 1 and" +
			" high_freq_factor 4 1 at 1, got 2"},
		{[]float32{1, 1, -3, 9}, "want positive numbers, got -3 at 2"},
		{[]float32{1, 1, 0, 9}, "want positive numbers, got 0 at 2"},
		{[]float32{9, 1, 1, 1}, "want factors of LLaMA 3's rule"},
		{[]float32{1, 1, 1}, "want shape [4], got [3]"},
	} {
		x, err := gguf.FromFloat32s(ropeFactorsName, gguf.F32, []int{len(c.factors)}, c.factors)
		if err != nil {
			t.Fatal(err)
		}
		metadata := append(slices.Clone(good), gguf.KeyValue{Key: "llama." + oldContextKey, Value: uint32(1000)})
		f := ggufFile(t, metadata, []gguf.Tensor{x})
		if _, err := ggufConfigJSON(f); c.want == "" && err != nil ||
			c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: got error %v, want %q", c.factors, err, c.want)
		}
	}
}

// YaRN's keys as llama.cpp's converter writes them, and those that it would compute otherwise.
func TestGGUFYaRNKeys(t *testing.T) {
	yarn := map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)}
	for _, c := range []struct {
		kind string
		keys map[string]any
		want string // of the settings, or an error
	}{
		{"llama", nil, "{4 64 32 1 false 1.138629 0}"},
		{"llama", map[string]any{"rope.scaling.original_context_length": uint32(24)}, "{4 24 32 1 false 1.138629 0}"},
		{"llama", map[string]any{"rope.scaling.attn_factor": float32(0.5)}, "{4 64 32 1 false 0.569315 0}"},
		{"llama", map[string]any{"rope.scaling.yarn_ext_factor": float32(-1)}, "{4 64 32 1 false 1.138629 0}"},
		{"llama", map[string]any{"rope.scaling.yarn_ext_factor": float32(0.5)}, "want 1, got 0.5"},
		{"llama", map[string]any{"rope.scaling.yarn_attn_factor": float32(2)}, "want 1, got 2"},
		{"llama", map[string]any{"rope.scaling.yarn_beta_fast": float32(0)}, "want a number above 0, got 0"},
		{"llama", map[string]any{"rope.scaling.yarn_truncate": uint32(0)}, "rope.scaling.yarn_truncate"},
		{"llama", map[string]any{"rope.scaling.factor": float32(0)}, "want a number above 0, got 0"},
		{"llama", map[string]any{"attention.temperature_scale": float32(1)}, "no such key"},
		{"ministral3", map[string]any{"attention.temperature_scale": float32(0.5),
			"rope.scaling.yarn_log_multiplier": float32(1)}, "{4 64 32 1 false 1.000000 0.5}"},
		{"ministral3", map[string]any{"rope.scaling.yarn_log_multiplier": float32(0.5)}, "{4 64 32 1 false 1.064822 0}"},
		{"ministral3", map[string]any{"attention.temperature_scale": float32(0.5), "rope.scaling.type": "none"},
			"want YaRN beside it, got none"},
	} {
		c0 := small(c.kind)
		c0.RoPE = ops.RoPEScaling{Theta: 10000}
		metadata, _, err := c0.ggufMetadata()
		if err != nil {
			t.Fatal(err)
		}
		prefix := familyOf(c.kind).gguf.architecture + "."
		keys := maps.Clone(yarn)
		maps.Copy(keys, c.keys)
		for key, value := range keys {
			metadata = append(metadata, gguf.KeyValue{Key: prefix + key, Value: value})
		}
		text, err := ggufConfigJSON(ggufFile(t, metadata, nil))
		var config Config
		if err == nil {
			config, err = parseConfig("config.json", text)
		}
		got := fmt.Sprint(err)
		if y := config.RoPE.YaRN; err == nil && y != nil {
			got = fmt.Sprintf("{%v %v %v %v %v %.6f %v}", y.Factor, y.OriginalPositions, y.BetaFast, y.BetaSlow,
				y.Untruncated, y.Attention, y.QueryBeta)
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %v: got %s, want %s", c.kind, c.keys, got, c.want)
		}
	}
}

// The golden cases' configurations are understood.
func TestGGUFGoldenConfigs(t *testing.T) {
	dirs := append(filepath.SplitList(os.Getenv("AGORA_GOLDEN")), "../../testdata/golden")
	n := 0
	for _, dir := range dirs {
		paths, _ := filepath.Glob(filepath.Join(dir, "*", "config*.json"))
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want, got map[string]any
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			c, err := parseConfig(path, text)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ggufMetadata(); err != nil { // nothing in GGUF says it
				t.Logf("%s: %v", path, err)
				continue
			}
			back, err := ggufConfigJSON(ggufOf(t, string(text)))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if err := json.Unmarshal(back, &got); err != nil {
				t.Fatal(err)
			}
			if window, ok := want["sliding_window"]; ok && window == nil && want["model_type"] == "mistral" {
				want["model_type"] = "llama" // llama.cpp has no name of its own for Mistral
			}
			if want["model_type"] == "phi3" {
				delete(want, "head_dim") // which follows there
			}
			for _, name := range []string{"model_type", "vocab_size", "head_dim", "num_key_value_heads",
				"rms_norm_eps", "max_position_embeddings"} {
				if want[name] != nil && got[name] != want[name] {
					t.Errorf("%s: %s is %v, want %v", path, name, got[name], want[name])
				}
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no golden configuration found")
	}
}

// The configuration of a file that llama.cpp's converter made, each field of it.
func TestGGUFRealConfig(t *testing.T) {
	f, err := gguf.Open(filepath.Join(realdata.Folder(t), "models/llama-2-tiny-random/llama-2-tiny-random.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := ggufConfigJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"model_type": "llama", "vocab_size": 32000.0, "hidden_size": 8.0, "num_hidden_layers": 1.0,
		"num_attention_heads": 2.0,
		"num_key_value_heads": 2.0, "head_dim": 4.0, "intermediate_size": 32.0, "max_position_embeddings": 4096.0,
		"rms_norm_eps": 1e-5,
		"rope_theta":   10000.0, "rope_scaling": nil, "tie_word_embeddings": false, "attention_bias": false,
		"bos_token_id": 1.0, "eos_token_id": 2.0, "pad_token_id": nil,
	} {
		if config[name] != want {
			t.Errorf("config.json: %s is %v, want %v", name, config[name], want)
		}
	}
}
