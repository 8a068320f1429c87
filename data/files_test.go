package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A folder or a pattern stands for its files, in order; splits other than train are not trained on.
func TestFiles(t *testing.T) {
	for _, c := range []struct{ names, ask, want, fails string }{
		{"b.jsonl a.csv.gz README.md .hidden", "", "a.csv.gz b.jsonl", ""},
		{"train-00001-of-00002.jsonl train-00000-of-00002.jsonl test.jsonl", "",
			"train-00000-of-00002.jsonl train-00001-of-00002.jsonl", ""},
		{"training_set.jsonl validation.jsonl", "", "training_set.jsonl", ""},
		{"data/train.jsonl data/test.jsonl README.md", "", "data/train.jsonl", ""},
		{"train.jsonl test.jsonl", "t?st.*", "test.jsonl", ""},
		{"train.jsonl test.jsonl", "train.jsonl", "train.jsonl", ""},
		{"testimony.jsonl", "", "testimony.jsonl", ""},
		{"test.jsonl", "", "", "want files whose names tell the split train"},
		{"train.jsonl more.jsonl", "", "", "got 1 of 2"},
		{"a.jsonl b.png", "", "", `got "b.png" too`},
		{"main/a.jsonl socratic/a.jsonl", "", "", `got the folder "main" in it`},
		{"README.md", "", "", "got none in it"},
		{"a.jsonl", "*.csv", "", "want a pattern that files match"},
	} {
		dir := t.TempDir()
		for name := range strings.FieldsSeq(c.names) {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(`{"text": "t"}`), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Files(filepath.Join(dir, c.ask))
		var names []string
		for _, path := range got {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), dir)) ||
			c.fails == "" && (err != nil || !slices.Equal(names, strings.Fields(c.want))) {
			t.Errorf("%s: got %v, error %v", c.names, names, err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "a.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"text": "`+name+`"}`), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	rows, _, err := Read(t.Context(), []string{dir}, ReadOptions{})
	if err != nil || len(rows) != 2 || rows[0].Text != "a.jsonl" || rows[1].Source.File != filepath.Join(dir, "b.jsonl") {
		t.Errorf("rows %+v, error %v", rows, err)
	}
}
