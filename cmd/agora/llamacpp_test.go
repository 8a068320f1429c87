package main

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tokenizer"
)

// TestTokensForLlamaCpp exports models with real byte-level tokenizers and writes what these make of a
// thousand texts, for tools/clients/llamacpp_tokens.py, into the folder that AGORA_LLAMACPP names.
func TestTokensForLlamaCpp(t *testing.T) {
	out := os.Getenv("AGORA_LLAMACPP")
	if out == "" {
		t.Skip("AGORA_LLAMACPP names no folder")
	}
	data := realdata.Folder(t)
	gpt2, err := os.ReadFile(filepath.Join(data, "tokenizer/gpt2/tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(gpt2, &file); err != nil {
		t.Fatal(err)
	}
	file["pre_tokenizer"] = map[string]any{"type": "Sequence", "pretokenizers": []any{
		map[string]any{"type": "Split", "behavior": "Isolated", "invert": false, "pattern": map[string]any{
			"Regex": `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}},
		map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
	}}
	qwen2, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	llama3, err := os.ReadFile(filepath.Join(data, "tokenizer/llama3/tokenizer.model"))
	if err != nil {
		t.Fatal(err)
	}
	texts := someTexts(t, data)
	for name, files := range map[string]map[string]string{
		"gpt2":   {tokenizer.JSONFile: string(gpt2)},
		"qwen2":  {tokenizer.JSONFile: string(qwen2)}, // its way to cut words
		"llama3": {tokenizer.ModelFile: string(llama3)},
	} {
		dir := filepath.Join(t.TempDir(), name)
		words := map[string]int{"llama3": 128256}[name]
		if words == 0 {
			words = 50300 // some more than there are
		}
		d, err := device.Open("cpu")
		if err != nil {
			t.Fatal(err)
		}
		m, err := llama.New(d, llama.Config{
			ModelType: "llama", Vocab: words, Hidden: 32, Intermediate: 32, Layers: 1, Heads: 4, KVHeads: 4, HeadDim: 8,
			MaxPositions: 512, NormEps: 1e-5, InitRange: 0.2, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: -1,
		}, 5)
		if err == nil {
			err = errors.Join(m.Save(dir), d.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, files)
		mustJSON[converted](t, "export", "--merged", "--model", dir, "--to", "gguf", "--dtype", "f16", "--out",
			filepath.Join(out, name+".gguf"))
		tok, err := tokenizer.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		var list []map[string]any
		for _, text := range texts {
			list = append(list, map[string]any{"text": text, "ids": tok.Encode(text)})
		}
		text, err := json.Marshal(list)
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name+".tokens.json"), text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// someTexts are pieces of real texts and rows of characters of all kinds.
func someTexts(t *testing.T, data string) (texts []string) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	real, err := os.ReadFile(filepath.Join(data, "text/wikitext-2-valid.txt"))
	if err != nil {
		t.Fatal(err)
	}
	characters := []rune("abcXYZ 0123456789  \n\r\t'sS'll.,;:!?-_()[]{}éüñßøЖдя你好世界こんにちは안녕🦙👩‍🚀\u200d\u00a0\u3000½²①ſ")
	for len(texts) < 500 {
		at := r.IntN(len(real) - 400)
		texts = append(texts, strings.ToValidUTF8(string(real[at:at+1+r.IntN(300)]), ""))
	}
	for len(texts) < 1000 {
		var b strings.Builder
		for range 1 + r.IntN(40) {
			b.WriteRune(characters[r.IntN(len(characters))])
		}
		texts = append(texts, b.String())
	}
	return texts
}
