package chat

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tokenizer"
)

// A GGUF file's own template is rendered as a folder's, with the tokens that the file names.
func TestLoadGGUF(t *testing.T) {
	dir, _ := folder(t, []string{"<|a|>"}, nil)
	metadata, _, err := tokenizer.GGUFMetadata(dir, 400)
	if err != nil {
		t.Fatal(err)
	}
	load := func(more ...gguf.KeyValue) (*Template, error) {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := gguf.Write(path, append(metadata, more...)); err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return Load(path, tok)
	}
	own, err := load(gguf.KeyValue{Key: "tokenizer.chat_template",
		Value: "{{ bos_token }}{% for m in messages %}<|a|>{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := own.Parts([]Message{{Role: "user", Content: "hi <|a|>"}}, false)
	if got := spell(parts); err != nil || got != "«<s>»«<|a|>»user: hi <|a|>«</s>»" {
		t.Errorf("error %v, got %s", err, got)
	}
	for want, kv := range map[string]gguf.KeyValue{
		"want the key tokenizer.chat_template, or special tokens that tell": {Key: "general.name", Value: "x"},
		"tokenizer.chat_template": {Key: "tokenizer.chat_template", Value: uint32(1)},
		"model.gguf: ":            {Key: "tokenizer.chat_template", Value: "{% for %}"},
	} {
		if _, err := load(kv); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "model.gguf") {
			t.Errorf("%v: got %v, want %s", kv, err, want)
		}
	}
}
