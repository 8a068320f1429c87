package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// A model of random numbers trains as any other, with the tokenizer of another.
func TestBenchModel(t *testing.T) {
	dir := t.TempDir()
	out, shape := filepath.Join(dir, "model.gguf"), smallShape(t)
	r := mustJSON[randomModel](t, "bench", "model", "--shape", shape, "--dtype", "q4", "--out", out)
	if r.Out != out || r.Model != shape || r.DType != "q4" || r.Bytes < 10_000 || r.Bytes > 60_000 {
		t.Errorf("got %+v", r)
	}
	s := mustJSON[train.Summary](t, "train", "--device", "cpu", "--model", out, "--tokenizer", tinymodel.Write(t),
		"--data", textFile(t, "abc abc"), "--dtype", "q4", "--max-tokens", "12", "--held-out", "0", "--steps", "2",
		"--out", filepath.Join(dir, "run"))
	if s.Steps != 2 || s.Loss < 3 || s.Loss > 7 {
		t.Errorf("trained: %+v", s)
	}
	for want, args := range map[string][]string{
		"want the name of a new file": {"--shape", shape, "--out", out},
		"--shape: want a model's":     {"--shape", "huge", "--out", out + "2"},
		"--dtype: ":                   {"--shape", shape, "--dtype", "q3", "--out", out + "2"},
		"llama: saving as nf4: want":  {"--shape", shape, "--dtype", "nf4", "--out", out + "2"},
		"--shape":                     {"--out", out + "2"},
	} {
		code, _, stderr := agora(t, append([]string{"bench", "model"}, args...)...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %q, want %q", args, code, stderr, want)
		}
	}
}
