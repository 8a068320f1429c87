package multilora

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
)

// clientForms are adapters in every form that others read.
func clientForms() map[string]Config {
	forms := kinds()
	tied := forms["ends"]
	tied.Targets = []string{"v_proj", "embed_tokens"}
	forms["tied"] = tied
	maps.Copy(forms, loraForms())
	tokens := forms["tokens"]
	tokens.Tokens = []string{"7-9", "2"}
	forms["tokens-tied"] = tokens
	maps.Copy(forms, expertForms())
	return forms
}

// clientModel is a small random model for a form, with the form trained beside it.
func clientModel(t *testing.T, name string, cfg Config) (*llama.Model, *Adapter) {
	t.Helper()
	d := open(t, 1)
	if _, ofExperts := expertForms()[name]; ofExperts {
		m := mixture(t, d, name)
		a := attach(t, m, cfg)
		trained(t, m, 6)
		return m, a
	}
	shape := tiny(t, d).Config
	shape.ModelType, shape.Tied, shape.Vocab = "qwen2", strings.HasSuffix(name, "tied"), 61
	m, err := llama.New(d, shape, 7)
	if err != nil {
		t.Fatal(err)
	}
	a := attach(t, m, cfg)
	trained(t, m, 6)
	return m, a
}

// TestAdaptersForPEFT writes models and adapters for tools/clients/adapters.py, which asks PEFT for the same logits,
// into the folder that AGORA_PEFT names.
func TestAdaptersForPEFT(t *testing.T) {
	out := os.Getenv("AGORA_PEFT")
	if out == "" {
		t.Skip("AGORA_PEFT names no folder")
	}
	for name, cfg := range clientForms() {
		m, a := clientModel(t, name, cfg)
		b := batch()
		values := logits(t, m, b)
		a.Detach()
		dir := filepath.Join(out, name)
		for _, err := range []error{m.Save(filepath.Join(dir, "base")), a.SavePEFT(filepath.Join(dir, "adapter"))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		answer(t, filepath.Join(dir, "answer.json"), map[string]any{"ids": []any{b.IDs[:b.Len()], b.IDs[b.Len():]},
			"logits": values})
	}
}

// TestAdaptersForLlamaCpp writes models, adapters and log-probabilities for tools/clients/llamacpp.py into the folder
// that AGORA_LLAMACPP names.
func TestAdaptersForLlamaCpp(t *testing.T) {
	out := os.Getenv("AGORA_LLAMACPP")
	if out == "" {
		t.Skip("AGORA_LLAMACPP names no folder")
	}
	for name, cfg := range clientForms() {
		if name == "tied" || cfg.Bias || cfg.Tokens != nil || cfg.Method == MethodDoRA { // which are refused
			continue
		}
		m, a := clientModel(t, name, cfg)
		b := llama.Batch{Rows: 1, IDs: batch().IDs[:20]}
		values := logits(t, m, b)
		a.Detach()
		path := filepath.Join(out, "adapter-"+name)
		for _, err := range []error{a.SaveGGUF(path+".lora", m.Config),
			m.SaveGGUF(path+".gguf", llama.GGUFOptions{Tokenizer: words(m.Config.Vocab)})} {
			if err != nil {
				t.Fatal(err)
			}
		}
		var probabilities [][]float64
		for at := 0; at < len(values); at += m.Config.Vocab {
			row, sum := values[at:at+m.Config.Vocab], 0.0
			for _, v := range row {
				sum += math.Exp(float64(v))
			}
			logs := make([]float64, len(row))
			for i, v := range row {
				logs[i] = float64(v) - math.Log(sum)
			}
			probabilities = append(probabilities, logs)
		}
		answer(t, path+".json", map[string]any{"ids": b.IDs, "logprobs": probabilities})
	}
}

func answer(t *testing.T, path string, values map[string]any) {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text))
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
