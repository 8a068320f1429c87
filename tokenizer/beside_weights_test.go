package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// From a folder come all files that a model needs beside its weights, from a file of
// theirs that one, from another nothing.
func TestCopyBesideWeights(t *testing.T) {
	from := t.TempDir()
	for _, name := range []string{"tokenizer.json", "vocab.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"", []string{"tokenizer.json", "vocab.json"}},
		{"tokenizer.json", []string{"tokenizer.json"}},
		{"model.safetensors", nil},
	} {
		to := t.TempDir()
		if err := CopyBesideWeights(filepath.Join(from, c.name), to); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(to)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("from %q: %v, want %v", c.name, got, c.want)
		}
	}
}
