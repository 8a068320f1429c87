package llama

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// A model made from a config.json alone: its first values, that the seed decides them,
// and that its folder loads here and says what transformers asks for.
func TestNewFromConfig(t *testing.T) {
	d := open(t)
	for _, kind := range []string{"llama", "mistral", "qwen2"} {
		for dt, spelled := range map[tensor.DType]string{tensor.F32: "float32", tensor.BF16: "bfloat16",
			tensor.F16: "float16"} {
			path := filepath.Join(t.TempDir(), "shape.json")
			if err := os.WriteFile(path, with(t, map[string]any{"model_type": kind, "initializer_range": 0.05,
				"tie_word_embeddings": kind == "qwen2", "sliding_window": json.RawMessage("null")}),
				0o666); err != nil {
				t.Fatal(err)
			}
			c, err := ReadNewConfig(path, 320)
			if err != nil {
				t.Fatal(err)
			}
			m, err := NewAs(d, c, dt, 5)
			if err != nil {
				t.Fatal(err)
			}
			for name, p := range nn.Params(m) {
				values, err := p.Value.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				squares := 0.0
				for _, v := range values {
					squares += v * v
				}
				deviation := math.Sqrt(squares / float64(len(values)))
				want, limit := 0.05, 0.05*0.1
				switch {
				case strings.HasSuffix(name, "norm.weight"):
					want, limit = 1, 0
				case strings.HasSuffix(name, ".bias"):
					want, limit = 0, 0
				}
				if p.Value.DType() != dt || p.Frozen || math.Abs(deviation-want) > limit {
					t.Errorf("%s: %s, frozen %v, deviation %g, want %g", name, p.Value, p.Frozen, deviation, want)
				}
			}
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			again, err := Load(t.Context(), d, dir, LoadOptions{DType: dt})
			if err != nil {
				t.Fatal(err)
			}
			sameValues(t, "loaded", again, m)
			if same, err := NewAs(d, c, dt, 5); err != nil {
				t.Error(err)
			} else {
				sameValues(t, "of the same seed", same, m)
			}
			other, err := NewAs(d, c, dt, 6)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Equal(raw(t, other.Blocks[1].Attention.Q.(*nn.Linear).Weight),
				raw(t, m.Blocks[1].Attention.Q.(*nn.Linear).Weight)) {
				t.Error("two seeds give the same weights")
			}
			var fields map[string]any
			readJSON(t, filepath.Join(dir, ConfigFile), &fields)
			for name, want := range map[string]any{
				"architectures": []any{familyOf(kind).class}, "model_type": kind, "torch_dtype": spelled,
				"vocab_size": 320.0, "hidden_size": 64.0,
				"intermediate_size": 172.0, "num_hidden_layers": 2.0, "num_attention_heads": 4.0,
				"num_key_value_heads":     2.0,
				"max_position_embeddings": 256.0, "hidden_act": "silu", "rms_norm_eps": 1e-5, "initializer_range": 0.05,
				"tie_word_embeddings": kind == "qwen2", "rope_theta": 10000.0, "bos_token_id": 1.0,
				"eos_token_id": []any{2.0}, "sliding_window": nil,
			} {
				if got, ok := fields[name]; !reflect.DeepEqual(got, want) ||
					!ok && (name != "sliding_window" || kind == "mistral") {
					t.Errorf("%s in %s: %s is %v, want %v", kind, dt, name, got, want)
				}
			}
		}
	}
	if _, err := NewAs(d, small("llama"), tensor.Q8, 1); err == nil ||
		!strings.Contains(err.Error(), "a new model in q8: want f32, f16 or bf16") {
		t.Errorf("a new model in q8: error %v", err)
	}
}

// sameValues compares the parameters of two models bit by bit.
func sameValues(t *testing.T, what string, got, want *Model) {
	t.Helper()
	all := maps.Collect(nn.Params(got))
	for name, p := range nn.Params(want) {
		if !slices.Equal(raw(t, all[name]), raw(t, p)) {
			t.Errorf("%s: %s has other bits", what, name)
		}
	}
}

func raw(t *testing.T, p *nn.Param) []byte {
	t.Helper()
	b, err := p.Value.RawBytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadNewConfigRefuses(t *testing.T) {
	type object = map[string]any
	for want, changes := range map[string]object{
		`vocab_size: want at least the 320 ids of the tokenizer, got 319`: {"vocab_size": 319},
		`eos_token_id: want 0 to 319, got 320`:                            {"eos_token_id": []int{2, 320}},
		`bos_token_id: want 0 to 319, got 400`:                            {"bos_token_id": 400},
		`initializer_range: want a positive number, got 0`:                {"initializer_range": 0},
		`vocab_size: want the new model's size, got none`:                 {"vocab_size": nil},
		`hidden_size: want the new model's size, got none`:                {"hidden_size": nil},
		`intermediate_size: want the new model's size, got none`:          {"intermediate_size": nil},
		`num_hidden_layers: want the new model's size, got none`:          {"num_hidden_layers": nil},
		`num_attention_heads: want the new model's size, got none`:        {"num_attention_heads": nil},
		`model_type: want ` + oneOf(modelTypes()) + `, got ""`:            {"model_type": nil},
		`num_key_value_heads: want a divisor of the 4 heads, got 3`:       {"num_key_value_heads": 3},
		`quantization_config.quant_method: want "`:                        {"quantization_config": object{"bits": 4}},
	} {
		path := filepath.Join(t.TempDir(), "shape.json")
		if err := os.WriteFile(path, with(t, changes), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadNewConfig(path, 320); err == nil || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("error %v, want it to name %s and say %q", err, path, want)
		}
	}
	if _, err := ReadNewConfig(filepath.Join(t.TempDir(), "none.json"), 320); err == nil ||
		!strings.Contains(err.Error(), "none.json") {
		t.Errorf("no file: error %v", err)
	}
}
