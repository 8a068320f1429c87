package tasks

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

// What is read is counted again here, in another way: lines that are not blank, answers in
// MultiRC's objects, quotation marks in MMLU's files.
func TestCountsOfRealFiles(t *testing.T) {
	root := realdata.Folder(t)
	for _, task := range All() {
		for _, split := range []Split{Train, Test} {
			path, err := task.Locate(root, split)
			if err != nil {
				t.Errorf("%s: %v", split, err)
				continue
			}
			examples, err := task.Read(path, 0)
			if err != nil {
				t.Error(err)
				continue
			}
			if want := count(t, task.Name, path); len(examples) != want || want == 0 {
				t.Errorf("%s %s: %d examples, want %d", task.Name, split, len(examples), want)
			}
			ids := map[string]bool{}
			for _, e := range examples {
				if ids[e.ID] || e.Answer == "" || !strings.HasPrefix(e.Answer, " ") ||
					e.Choices != nil && e.Answer != e.Choices[e.Gold] {
					t.Fatalf("%s %s: %+v", task.Name, split, e)
				}
				ids[e.ID] = true
			}
		}
	}
}

func count(t *testing.T, task, path string) (n int) {
	t.Helper()
	if task == "mmlu" {
		files, err := filepath.Glob(filepath.Join(path, "*.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text := whole(t, file)
			// A record ends with a line's end outside of quotation marks.
			quoted := false
			for _, c := range append(bytes.TrimRight(text, "\r\n"), '\n') {
				if c == '"' {
					quoted = !quoted
				} else if c == '\n' && !quoted {
					n++
				}
			}
		}
		return n
	}
	for line := range bytes.Lines(whole(t, path)) {
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0:
		case task == "multirc":
			var v any
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			for _, q := range v.(map[string]any)["passage"].(map[string]any)["questions"].([]any) {
				n += len(q.(map[string]any)["answers"].([]any))
			}
		default:
			n++
		}
	}
	return n
}

func whole(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
