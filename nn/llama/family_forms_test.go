package llama

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
)

// smallest is a small model of a family, of which GGUF says all, from a config.json.
func smallest(t testing.TB, kind string, changes map[string]any) Config {
	t.Helper()
	text := map[string]any{
		"model_type": kind, "vocab_size": 37, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 7,
		"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3,
		"bos_token_id": 1, "eos_token_id": 2, "sliding_window": nil,
	}
	for name, value := range map[string]map[string]any{
		"gemma2": {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 5, "attn_logit_softcapping": 3,
			"final_logit_softcapping": 4},
		"gemma3_text": {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 5, "rope_theta": 5e4,
			"rope_local_base_freq": 300, "rope_scaling": map[string]any{"rope_type": "linear", "factor": 8}},
		"granite": {"embedding_multiplier": 3, "attention_multiplier": 0.3, "residual_multiplier": 0.5,
			"logits_scaling": 1.5},
		"phi3": {"partial_rotary_factor": 0.5, "original_max_position_embeddings": 9,
			"rope_scaling": map[string]any{"type": "longrope", "short_factor": []float64{1, 1.5},
				"long_factor": []float64{2, 4}}},
		"qwen3": {"head_dim": 16},
		"qwen3_moe": {"head_dim": 16, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
			"norm_topk_prob": true},
		"mixtral":    {"num_local_experts": 4},
		"ministral3": {"head_dim": 16, "rope_parameters": map[string]any{"rope_theta": 1e4}},
	}[kind] {
		text[name] = value
	}
	for name, value := range changes {
		text[name] = value
	}
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(kind, data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// uneven gives norms and biases other weights than a new model's, which would test nothing.
func uneven(m *Model) {
	weights := nn.NewInitializer(m.Device(), 10)
	for name, p := range nn.Params(m) {
		if strings.HasSuffix(name, "norm.weight") || strings.HasSuffix(name, ".bias") {
			p.Value = weights.Uniform(1, p.Value.Shape()...).Value
		}
	}
}

// Models of each family keep their logits through their folder and through a GGUF file.
func TestFamiliesRoundTrip(t *testing.T) {
	d := open(t)
	for name, c := range forLlamaCpp(t) {
		t.Run(name, func(t *testing.T) {
			m := create(t, d, c)
			uneven(m)
			b := Batch{Rows: 1, IDs: text(1, 12, m.Config.Vocab)}
			want := logits(t, m, b)
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logits(t, load(t, d, dir), b), want) {
				t.Error("other logits from the folder")
			}
			if err := m.Config.LlamaCppError(); err != nil {
				t.Error(err)
			}
			near(t, "logits of the GGUF file", logits(t, load(t, d, saveGGUF(t, m, GGUFOptions{})), b), want)
		})
	}
}

// transformers takes no integer for a field of floats: whole numbers keep their fraction where a configuration is written.
func TestWholeNumbersAreWrittenAsFloats(t *testing.T) {
	for _, c := range []struct {
		kind    string
		changes map[string]any
		want    []string
	}{
		{"gemma2", map[string]any{"attn_logit_softcapping": 50, "final_logit_softcapping": 30},
			[]string{`"attn_logit_softcapping":50.0`, `"final_logit_softcapping":30.0`, `"query_pre_attn_scalar":16,`}},
		{"gemma3_text", map[string]any{"rope_local_base_freq": 10000}, []string{`"rope_local_base_freq":10000.0`}},
		{"ministral3", map[string]any{"rope_parameters": map[string]any{"rope_type": "yarn", "rope_theta": 1e6, "factor": 4,
			"original_max_position_embeddings": 16, "attention_factor": 1}},
			[]string{`"attention_factor":1.0`, `"factor":4.0`, `"rope_theta":1e+06`, `"original_max_position_embeddings":16,`}},
	} {
		text, err := json.Marshal(smallest(t, c.kind, c.changes))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: want %s in %s", c.kind, want, text)
			}
		}
	}
}

// Each field that only some families have changes what a model computes.
func TestFamilyFieldsCount(t *testing.T) {
	d := open(t)
	type object = map[string]any
	rope := func(name string, fields object) object { return object{name: fields} }
	for _, c := range []struct {
		kind    string
		changes object
	}{
		{"gemma2", object{"attn_logit_softcapping": nil}},
		{"gemma2", object{"attn_logit_softcapping": 2}},
		{"gemma2", object{"final_logit_softcapping": nil}},
		{"gemma2", object{"query_pre_attn_scalar": 15}},
		{"gemma2", object{"sliding_window": 4}},
		{"gemma3_text", object{"rope_local_base_freq": 301}},
		{"gemma3_text", object{"rope_theta": 6e4}},
		{"gemma3_text", object{"rope_scaling": nil}},
		{"gemma3_text", object{"sliding_window_pattern": 3}},
		{"gemma3_text", object{"final_logit_softcapping": 3}},
		{"granite", object{"embedding_multiplier": 2}},
		{"granite", object{"attention_multiplier": 0.2}},
		{"granite", object{"residual_multiplier": 1}},
		{"granite", object{"logits_scaling": 1}},
		{"smollm3", object{"no_rope_layer_interval": 3}},
		{"smollm3", object{"no_rope_layers": []int{1, 1, 1, 1, 1, 1, 1}}},
		{"smollm3", object{"use_sliding_window": true, "sliding_window": 5}},
		{"phi3", object{"partial_rotary_factor": 0.5, "original_max_position_embeddings": 13}},
		{"phi3", object{"sliding_window": 5}},
		{"ministral3", rope("rope_parameters", object{"rope_type": "yarn", "rope_theta": 1e4, "factor": 4,
			"original_max_position_embeddings": 16})},
		{"ministral3", rope("rope_parameters", object{"rope_theta": 1e4, "rope_type": "yarn", "factor": 1,
			"original_max_position_embeddings": 4, "llama_4_scaling_beta": 0.1})},
	} {
		m := create(t, d, smallest(t, c.kind, nil))
		b := Batch{Rows: 1, IDs: text(1, 12, m.Config.Vocab)}
		want := logits(t, m, b)
		other := create(t, d, smallest(t, c.kind, c.changes))
		if slices.Equal(logits(t, other, b), want) {
			t.Errorf("%s: %v changes nothing", c.kind, c.changes)
		}
		got, err := json.Marshal(other.Config)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseConfig("written", got)
		if err != nil {
			t.Fatal(err)
		}
		again.InitRange = other.Config.InitRange
		if !slices.Equal(logits(t, create(t, d, again), b), logits(t, other, b)) {
			t.Errorf("%s: %v is not written as it was read", c.kind, c.changes)
		}
	}
}

// logSoftmax is the log-probabilities of a row of logits.
func logSoftmax(row []float32) []float64 {
	sum := 0.0
	for _, x := range row {
		sum += math.Exp(float64(x))
	}
	logs := make([]float64, len(row))
	for i, x := range row {
		logs[i] = float64(x) - math.Log(sum)
	}
	return logs
}

// All losses of a token are those of the logits, whatever a family does to these.
func TestFamilyTokenLosses(t *testing.T) {
	d := open(t)
	for _, kind := range []string{"gemma2", "granite"} {
		m := create(t, d, smallest(t, kind, nil))
		ids := text(1, 12, m.Config.Vocab)
		b := Batch{Rows: 1, IDs: ids, Labels: append(slices.Clone(ids[1:]), ops.IgnoreLabel)}
		scores := logits(t, m, b)
		var want []float32
		for i, label := range b.Labels[:len(ids)-1] {
			want = append(want, float32(-logSoftmax(scores[i*m.Config.Vocab : (i+1)*m.Config.Vocab])[label]))
		}
		_, byToken := m.LossByToken(b, b.Counted())
		for name, v := range map[string]*nn.Var{"LossByToken": byToken, "TokenLosses": m.TokenLosses(b)} {
			got, err := v.Tensor().Float32s()
			if err != nil {
				t.Fatal(err)
			}
			near(t, kind+" "+name, got[:len(want)], want)
		}
	}
}

// What GGUF has no words for, and what llama.cpp computes otherwise, is refused.
func TestFamiliesNotInGGUF(t *testing.T) {
	type object = map[string]any
	rope := func(kind string, fields object) object {
		fields["rope_type"], fields["factor"] = kind, 4
		return object{"rope_scaling": fields}
	}
	llama3 := func() object {
		return rope("llama3", object{"low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32})
	}
	longrope := rope("longrope", object{"short_factor": []float64{1, 1, 1, 1}, "long_factor": []float64{2, 2, 2, 2}})
	local := object{"rope_scaling": nil, "rope_parameters": object{slidingAttention: object{"rope_type": "linear",
		"factor": 2, "rope_theta": 300}}}
	for _, x := range []struct {
		kind    string
		changes object
		want    string
	}{
		{"gemma2", object{"query_pre_attn_scalar": 20}, "query_pre_attn_scalar: want 16, which llama.cpp takes, got 20"},
		{"gemma2", object{"layer_types": []string{fullAttention, slidingAttention, slidingAttention, slidingAttention,
			slidingAttention, slidingAttention, slidingAttention}}, "layer_types: want all positions in every nth layer"},
		{"gemma2", llama3(), "rope_scaling: want"},
		{"gemma3_text", local, "rope_parameters.sliding_attention.rope_type: want"},
		{"gemma3_text", rope("yarn", object{"attention_factor": 2}), "rope_parameters.attention_factor: want 1.138629"},
		{"smollm3", object{"no_rope_layer_interval": 3}, "no_rope_layers: want every fourth layer"},
		{"smollm3", llama3(), "rope_scaling: want"},
		{"qwen2", longrope, `rope_scaling: want "default", "linear" or "yarn": llama.cpp passes over the factors of a qwen2`},
		{"llama", rope("dynamic", object{}), "rope_parameters.rope_type: want"},
		{"llama", rope("yarn", object{"beta_fast": 16}), "rope_parameters.beta_fast: want 32, which llama.cpp takes"},
		{"llama", rope("yarn", object{"beta_slow": 2}), "rope_parameters.beta_slow: want 1, which llama.cpp takes"},
		{"llama", rope("yarn", object{"truncate": false}), "rope_parameters.truncate: want true"},
		{"llama", rope("yarn", object{"llama_4_scaling_beta": 0.1}), "rope_parameters.llama_4_scaling_beta: want 0"},
		{"phi3", object{"sliding_window": 5}, "sliding_window: want none"},
		{"phi3", llama3(), "rope_scaling: want"},
		{"ministral3", object{"sliding_window": 5}, "sliding_window: want none"},
	} {
		c := smallest(t, x.kind, x.changes)
		if err := c.GGUFError(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %v: got %v, want %s", x.kind, x.changes, err, x.want)
		}
	}
}

// Rows that go on past LongRoPE's short texts have the logits of the whole rows, however they
// come, and a refused piece changes nothing.
func TestDecoderPastShortTexts(t *testing.T) {
	d := open(t)
	m := create(t, d, smallest(t, "phi3", nil)) // short up to 9
	whole := [][]int32{text(1, 14, 37), text(2, 11, 37)}
	want := func(row []int32) []float32 {
		all := logits(t, m, Batch{Rows: 1, IDs: row})
		return all[len(all)-m.Config.Vocab:]
	}
	at := m.NewDecoder(2, 40)
	defer at.Close()
	for _, n := range []int{3, 8, 9, 10, 11, 14} {
		var pieces [][]int32
		for r, row := range whole {
			from := min(int(at.length[r]), len(row))
			pieces = append(pieces, row[from:min(n, len(row))])
		}
		if _, err := at.Step([][]int32{{99}, {99}}); err == nil {
			t.Fatal("a token that the model does not have: want an error")
		}
		got, err := at.Step(pieces)
		if err != nil {
			t.Fatal(err)
		}
		for r, row := range whole {
			if n == 14 && r == 1 {
				if got[r] != nil {
					t.Error("logits of a row without new tokens")
				}
				continue
			}
			long := max(min(n, 14), min(n, 11)) // the batch's longest row chooses the factors
			if long <= 9 || n > 9 {
				near(t, fmt.Sprintf("%d tokens of row %d", n, r), got[r], want(row[:min(n, len(row))]))
			}
		}
	}
	answers, err := m.LogProbs(t.Context(), whole[0][:5], [][]int32{whole[0][5:12], whole[1][:8]},
		[][]Query{{{After: 12, Token: 3}}, {{After: 13, Token: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range [][]int32{whole[0][:12], slices.Concat(whole[0][:5], whole[1][:8])} {
		alone, err := m.LogProbs(t.Context(), nil, [][]int32{row}, [][]Query{{{After: len(row), Token: 3}}})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "log-probability", []float32{float32(answers[i][0].LogProb)}, []float32{float32(alone[0][0].LogProb)})
	}
}
