package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/train"
)

// A vocabulary of one's own, a model from scratch over it, and an adapter of that.
func TestTokenizerTrain(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"a.txt": strings.Repeat("the cat sat on the mat. ", 30),
		"b.jsonl": strings.Repeat(`{"prompt":"the cat","completion":" sat"}`+"\n"+
			`{"prompt":"a dog","completion":" ran"}`+"\n", 5),
		"config.json": `{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":285,"hidden_size":16,"intermediate_size":32,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-5,"bos_token_id":1,"eos_token_id":2}`,
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	data := at("a.txt") + "," + at("b.jsonl")
	v := mustJSON[learnedVocabulary](t, "tokenizer", "train", "--data", data, "--vocab", "285", "--out", at("tok"))
	if v.Vocabulary != 285 || v.Characters != 30*24+5*(11+9) || v.Tokens <= 0 || v.CoveredByBytes != 0 {
		t.Errorf("%+v", v)
	}
	got := mustJSON[tokens](t, "tokenize", "--model", at("tok"), "--text", "the cat\n", "--bos")
	if strings.Join(got.Pieces, "|") != "<s>|▁the|▁cat|<0x0A>" {
		t.Errorf("pieces %q", got.Pieces)
	}
	s := mustJSON[train.Summary](t, "train", "--from-scratch", at("config.json"), "--tokenizer", at("tok"), "--data",
		at("b.jsonl"),
		"--out", at("model"), "--steps", "2", "--held-out", "0", "--max-tokens", "32")
	if s.Steps != 2 {
		t.Errorf("%+v", s)
	}
	for args, want := range map[string]string{
		"--vocab 285 --out " + at("new"): "--data is missing",
		"--vocab 200 --data " + data + " --out " +
			at("new"): "--vocab: learn: a vocabulary of 200 pieces: want at least",
		"--vocab 999 --data " + data + " --out " +
			at("new"): "--vocab: learn: a vocabulary of 999 pieces: want at most",
		"--vocab 285 --data " + data + " --out " + at("tok"): "want a new or empty folder",
		"--vocab 285 --coverage 0 --data " + data + " --out " +
			at("new"): "--coverage 0: want above 0, at most 1",
		"--vocab 285 --max-piece 0 --data " + data + " --out " + at("new"):            "--max-piece 0: want 1 to 1024",
		"--vocab 285 --data " + at("none.txt") + " --out " + at("new"):                "none.txt: no such file",
		"--vocab 285 --format joy --data " + data + " --out " + at("new"):             `format "joy": want one of`,
		"--vocab 285 --data " + at("config.json") + " --out " + at("new") + " --json": "cannot tell the format",
	} {
		code, _, stderr := agora(t, append([]string{"tokenizer", "train"}, strings.Fields(args)...)...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: code %d, got %s, want %s", args, code, stderr, want)
		}
		if _, err := os.Stat(at("new")); err == nil {
			t.Errorf("%s: has left something", args)
		}
	}
}
