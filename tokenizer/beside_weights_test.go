package tokenizer

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// From a folder come all files that a model needs beside its weights, from a file of
// theirs that one, from another nothing.
func TestCopyBesideWeights(t *testing.T) {
	from := t.TempDir()
	if err := os.Mkdir(filepath.Join(from, templatesFolder), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "vocab.json", "model.safetensors", "chat_template.jinja",
		"generation_config.json", templatesFolder + "/tool_use.jinja", templatesFolder + "/notes.txt"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(`{}`), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"", []string{templatesFolder + "/tool_use.jinja", "chat_template.jinja", "generation_config.json",
			"tokenizer.json", "vocab.json"}},
		{"tokenizer.json", []string{"tokenizer.json"}},
		{"model.safetensors", nil},
	} {
		to := t.TempDir()
		if err := CopyBesideWeights(filepath.Join(from, c.name), to); err != nil {
			t.Fatal(err)
		}
		var got []string
		err := fs.WalkDir(os.DirFS(to), ".", func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				got = append(got, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("from %q: %v, want %v", c.name, got, c.want)
		}
	}
}
