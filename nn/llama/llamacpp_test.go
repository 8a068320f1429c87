package llama

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tensor"
)

// forLlamaCpp are the smallest model of each family, and those with what stretches rotary positions, before and past
// the context that they had, and with windows, of which the text of 20 tokens is longer.
func forLlamaCpp(t *testing.T) map[string]Config {
	type object = map[string]any
	out := map[string]Config{}
	for _, f := range families {
		out[f.modelType] = smallest(t, f.modelType, nil)
	}
	yarn := func(original int, changes object) object {
		rope := object{"rope_type": "yarn", "rope_theta": 1e4, "factor": 4, "original_max_position_embeddings": original}
		maps.Copy(rope, changes)
		return object{"rope_parameters": rope, "rope_scaling": nil, "max_position_embeddings": 4000}
	}
	for _, kind := range []string{"granite", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3", "gemma2"} {
		for name, changes := range map[string]object{
			"yarn": yarn(12, nil), "yarn-mixed": yarn(1000, object{"attention_factor": 0.8}), // both within the bounds
		} {
			if kind != "gemma2" && kind != "qwen3" {
				changes["hidden_size"] = 64
			}
			changes["partial_rotary_factor"] = 1
			out[kind+"-"+name] = smallest(t, kind, changes)
		}
	}
	gemma3 := yarn(1000, nil)
	gemma3["rope_parameters"] = object{fullAttention: gemma3["rope_parameters"],
		slidingAttention: object{"rope_type": "default", "rope_theta": 300}}
	out["gemma3_text-yarn"] = smallest(t, "gemma3_text", gemma3)
	out["ministral3-yarn"] = smallest(t, "ministral3", yarn(12, object{"mscale": 1, "mscale_all_dim": 1,
		"llama_4_scaling_beta": 0.3, "beta_fast": 2, "beta_slow": 0.25}))
	for name, original := range map[string]int{"short": 300, "long": 9} { // a llama-server has room for 256 at least
		for kind, half := range map[string]int{"granite": 4, "llama": 4, "ministral3": 8, "phi3": 2} {
			short, long := make([]float64, half), make([]float64, half)
			for i := range half {
				short[i], long[i] = 1+float64(i)/4, 1.5+float64(i)
			}
			out[kind+"-longrope-"+name] = smallest(t, kind, object{
				"max_position_embeddings": 512, "original_max_position_embeddings": original, "rope_parameters": nil,
				"rope_scaling": object{"type": "longrope", "short_factor": short, "long_factor": long}})
		}
	}
	for name, every := range map[string]int{"windows": 0, "alternating": 2, "third": 3, "all": 1} {
		types := make([]string, 7)
		for i := range types {
			if types[i] = slidingAttention; every > 0 && (i+1)%every == 0 {
				types[i] = fullAttention
			}
		}
		for _, kind := range []string{"gemma2", "gemma3_text"} {
			out[kind+"-"+name] = smallest(t, kind, object{"layer_types": types})
		}
	}
	return out
}

// TestFilesForLlamaCpp writes small models for tools/clients/llamacpp.py, which asks llama.cpp for the same
// log-probabilities, into the folder that AGORA_LLAMACPP names.
func TestFilesForLlamaCpp(t *testing.T) {
	out := os.Getenv("AGORA_LLAMACPP")
	if out == "" {
		t.Skip("AGORA_LLAMACPP names no folder")
	}
	d := open(t)
	for name, c := range forLlamaCpp(t) {
		m := create(t, d, c)
		uneven(m)
		path := filepath.Join(out, name)
		if err := m.SaveGGUF(path+".gguf", GGUFOptions{Tokenizer: words(m.Config.Vocab)}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		answerForLlamaCpp(t, m, path+".json")
	}
}

// answerForLlamaCpp writes a model's log-probabilities of 20 tokens.
func answerForLlamaCpp(t *testing.T, m *Model, path string) {
	t.Helper()
	ids := text(1, 20, m.Config.Vocab)
	scores := logits(t, m, Batch{Rows: 1, IDs: ids})
	var probabilities [][]float64
	for at := 0; at < len(scores); at += m.Config.Vocab {
		probabilities = append(probabilities, logSoftmax(scores[at:at+m.Config.Vocab]))
	}
	answer, err := json.Marshal(map[string]any{"ids": ids, "logprobs": probabilities})
	if err == nil {
		err = os.WriteFile(path, answer, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestMixturesForLlamaQuantize writes mixtures of experts whose rows are whole blocks, NAME.f32, into the folder that
// AGORA_LLAMACPP names. llama-quantize makes Q4_K_M files of them, NAME.q4_k_m, and f32 files of these, NAME.gguf.
func TestMixturesForLlamaQuantize(t *testing.T) {
	eachMixtureForLlamaCpp(t, func(name, out string) {
		d := open(t)
		m := create(t, d, smallest(t, name, map[string]any{"hidden_size": 256, "moe_intermediate_size": 256,
			"intermediate_size": 256, "num_hidden_layers": 3, "initializer_range": 0.1}))
		uneven(m)
		if err := m.SaveGGUF(filepath.Join(out, name+".f32"), GGUFOptions{Tokenizer: words(m.Config.Vocab)}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestQuantizedMixturesForLlamaCpp reads what llama-quantize has made of those files, and writes log-probabilities for
// tools/clients/llamacpp.py; and the same model again, in Q4_K as it is quantized here.
func TestQuantizedMixturesForLlamaCpp(t *testing.T) {
	eachMixtureForLlamaCpp(t, func(name, out string) {
		d := open(t)
		m, err := Load(t.Context(), d, filepath.Join(out, name+".q4_k_m"), LoadOptions{AsStored: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, expert := range m.Blocks[0].Mixture().Experts {
			if gate, _, _ := expert.Layers(); weightOf(gate).DType() != tensor.Q4_K {
				t.Errorf("%s: an expert in %s", name, weightOf(gate).DType())
			}
		}
		answerForLlamaCpp(t, m, filepath.Join(out, name+".json"))
		again := filepath.Join(out, name+".q4_k")
		if err := m.SaveGGUF(again, GGUFOptions{DType: tensor.Q4_K, Tokenizer: words(m.Config.Vocab)}); err != nil {
			t.Fatal(err)
		}
		back, err := Load(t.Context(), d, again, LoadOptions{AsStored: true})
		if err != nil {
			t.Fatal(err)
		}
		answerForLlamaCpp(t, back, filepath.Join(out, name+"-again.json"))
	})
}

func eachMixtureForLlamaCpp(t *testing.T, do func(name, out string)) {
	out := os.Getenv("AGORA_LLAMACPP")
	if out == "" {
		t.Skip("AGORA_LLAMACPP names no folder")
	}
	for _, name := range []string{"qwen3_moe", "mixtral"} {
		do(name, out)
	}
}

// words is a vocabulary of so many words, without which llama.cpp reads no model.
func words(n int) []gguf.KeyValue {
	texts, scores, types := make([]string, n), make([]float32, n), make([]int32, n)
	for i := range n {
		texts[i], scores[i], types[i] = fmt.Sprintf("w%d", i), float32(-i), 1
	}
	texts[0], types[0], types[1], types[2] = "<unk>", 2, 3, 3
	return []gguf.KeyValue{
		{Key: "tokenizer.ggml.model", Value: "llama"}, {Key: "tokenizer.ggml.tokens", Value: texts},
		{Key: "tokenizer.ggml.scores", Value: scores}, {Key: "tokenizer.ggml.token_type", Value: types},
	}
}
