package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tokenizer"
)

// A folder for ollama create has the model and a Modelfile: template, what ends an answer, sampling.
func TestExportOllama(t *testing.T) {
	v := pieces(nil)
	n := len(v.Pieces)
	dir := pieceModel(t, v, n+2, nil, map[string]string{
		"added_tokens.json": fmt.Sprintf(`{"<|im_start|>": %d, "<|im_end|>": %d}`, n, n+1),
		"tokenizer_config.json": fmt.Sprintf(`{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true,`+
			` "additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "chat_template": %q}`, imChat),
		"generation_config.json": `{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "bos_token_id": 1}`,
	})
	out := filepath.Join(t.TempDir(), "ollama")
	r := mustJSON[converted](t, "export", "--model", dir, "--to", "ollama", "--out", out, "--dtype", "q8")
	if r.Out != out || r.Form != "ollama" || len(r.Warnings) != 0 {
		t.Errorf("%+v", r)
	}
	got, err := os.ReadFile(filepath.Join(out, modelfile))
	if err != nil {
		t.Fatal(err)
	}
	want := `FROM ./model.gguf
TEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system
{{ .Content }}<|im_end|>
{{ else if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}<|im_end|>
{{ end }}{{ end }}<|im_start|>assistant
"""
PARAMETER stop "<|im_end|>"
PARAMETER stop "</s>"
PARAMETER temperature 0.6
PARAMETER top_p 0.95
PARAMETER top_k 20
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !gguf.IsFile(filepath.Join(out, ollamaModel)) {
		t.Error("no model")
	}
	if code, _, stderr := agora(t, "export", "--model", dir, "--to", "ollama", "--out", out); code == 0 ||
		!strings.Contains(stderr, "want a new or empty folder") {
		t.Errorf("over what is there: exit code %d, %s", code, stderr)
	}

	// Without sampling a model answers with what is likeliest; without a template that Ollama could
	// have, the user is told.
	for name, content := range map[string]string{
		"generation_config.json": `{"do_sample": false, "temperature": 0.6}`,
		"chat_template.jinja":    "{% for m in messages %}{{ m.content + (loop.index | string) }}{% endfor %}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r = mustJSON[converted](t, "export", "--model", dir, "--to", "ollama", "--out", out+"2")
	if got, err = os.ReadFile(filepath.Join(out+"2", modelfile)); err != nil ||
		string(got) != "FROM ./model.gguf\nPARAMETER stop \"</s>\"\nPARAMETER temperature 0\n" {
		t.Errorf("error %v, got\n%s", err, got)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "Modelfile has no TEMPLATE: chat: want a template that writes the same text") {
		t.Errorf("warnings %q", r.Warnings)
	}

	// A GGUF file becomes such a folder, too.
	again := filepath.Join(t.TempDir(), "again")
	mustJSON[converted](t, "export", "--model", filepath.Join(out, ollamaModel), "--to", "ollama", "--out", again)
	if got, err = os.ReadFile(filepath.Join(again, modelfile)); err != nil || !strings.Contains(string(got), "TEMPLATE") {
		t.Errorf("error %v, got\n%s", err, got)
	}
}

// A stop is what stands in the text: the name of a control token, what others are decoded to.
func TestOllamaStops(t *testing.T) {
	v := pieces(func(v *tokenizer.Vocabulary) {
		for _, piece := range []string{"▁Once", `"`} {
			v.Pieces, v.Scores, v.Types = append(v.Pieces, piece), append(v.Scores, 0), append(v.Types, 1)
		}
	})
	tok, err := tokenizer.NewSentencePiece(v)
	if err != nil {
		t.Fatal(err)
	}
	for piece, want := range map[string]string{"</s>": `"</s>"`, "▁Once": `" Once"`, `"`: `"""""""`, "<0x0A>": "\"\"\"\n\"\"\"",
		"<0xE2>": `""`, "none": `""`} {
		if got := ollamaQuoted(stopText(tok, int32(slices.Index(v.Pieces, piece)))); got != want {
			t.Errorf("the stop of %s is %s, want %s", piece, got, want)
		}
	}
	if got := stopText(tok, int32(len(v.Pieces))); got != "" {
		t.Errorf("the stop of what is outside the vocabulary is %q", got)
	}
}
