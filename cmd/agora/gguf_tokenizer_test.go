package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

// What becomes of a GGUF model, by full fine-tuning or by merging, is a folder with its
// tokenizer: it needs nothing else to generate.
func TestModelsOfGGUFHaveATokenizer(t *testing.T) {
	model, _ := realModel(t)
	dir := t.TempDir()
	file, tuned, merged := filepath.Join(dir, "model.gguf"), filepath.Join(dir, "tuned"), filepath.Join(dir, "merged")
	if code, _, stderr := agora(t, "export", "--merged", "--model", model, "--to", "gguf", "--out", file); code != 0 {
		t.Fatal(stderr)
	}
	mustJSON[train.Summary](t, "train", "--model", file, "--method", "full", "--data", someRows(t), "--held-out", "0",
		"--steps", "2", "--save-every", "1", "--lr", "1e-9", "--out", tuned)
	if code, _, stderr := agora(t, "export", "--merged", "--model", file, "--to", "safetensors", "--out",
		merged); code != 0 {
		t.Fatal(stderr)
	}
	want := mustJSON[generation](t, "generate", "--model", file, "--prompt", "Once upon a time", "--greedy",
		"--max-tokens", "20")
	for _, out := range []string{tuned, filepath.Join(tuned, train.CheckpointsFolder, "step-000001"), merged} {
		got := mustJSON[generation](t, "generate", "--model", out, "--prompt", "Once upon a time", "--greedy",
			"--max-tokens", "20")
		if !reflect.DeepEqual(got.IDs, want.IDs) || got.Text != want.Text {
			t.Errorf("%s: %v %q, want %v %q", out, got.IDs, got.Text, want.IDs, want.Text)
		}
	}
}

// A vocabulary that is not known stands in nobody's way where no text is read.
func TestMergeWithoutVocabulary(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.Load(t.Context(), d, tinymodel.Write(t), llama.LoadOptions{DType: tensor.F32})
	if err != nil {
		t.Fatal(err)
	}
	file, out := filepath.Join(t.TempDir(), "model.gguf"), filepath.Join(t.TempDir(), "merged")
	if err := m.SaveGGUF(file, llama.GGUFOptions{}); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := agora(t, "export", "--merged", "--model", file, "--to", "safetensors", "--out", out)
	if code != 0 || !strings.Contains(stderr, "warning: the folder gets no tokenizer: tokenizer: "+file+": ") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(out, tokenizer.ModelFile)); !os.IsNotExist(err) {
		t.Errorf("a tokenizer from nowhere: %v", err)
	}
	if _, err := llama.Check(t.Context(), out); err != nil {
		t.Error(err)
	}
}
