package llama

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// TestFilesForLlamaCpp writes a small model of each family for tools/clients/llamacpp.py, which asks
// llama.cpp for the same log-probabilities, into the folder that AGORA_LLAMACPP names.
func TestFilesForLlamaCpp(t *testing.T) {
	out := os.Getenv("AGORA_LLAMACPP")
	if out == "" {
		t.Skip("AGORA_LLAMACPP names no folder")
	}
	d := open(t)
	for _, f := range families {
		m := create(t, d, smallest(t, f.modelType, nil))
		uneven(m)
		ids := text(1, 20, m.Config.Vocab)
		scores := logits(t, m, Batch{Rows: 1, IDs: ids})
		var probabilities [][]float64
		for at := 0; at < len(scores); at += m.Config.Vocab {
			probabilities = append(probabilities, logSoftmax(scores[at:at+m.Config.Vocab]))
		}
		path := filepath.Join(out, f.modelType)
		if err := m.SaveGGUF(path+".gguf", GGUFOptions{Tokenizer: words(m.Config.Vocab)}); err != nil {
			t.Fatal(err)
		}
		answer, err := json.Marshal(map[string]any{"ids": ids, "logprobs": probabilities})
		if err == nil {
			err = os.WriteFile(path+".json", answer, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
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
