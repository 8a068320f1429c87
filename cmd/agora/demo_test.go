package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/toy"
	"github.com/agora-ml/agora/train"
)

func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "toy")
	r := mustJSON[toy.Report](t, "demo", "--steps", "20", "--out", dir)
	if r.Steps != 20 || len(r.Scores) != len(toy.NewTasks) || len(r.Methods) != 2 {
		t.Fatalf("demo gave %+v", r)
	}
	code, stdout, stderr := agora(t, "demo", "--steps", "2")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	for _, want := range []string{"reversed next", "12.5 %", "LoRA (1 × rank 12, rate", "MultiLoRA (3 × rank 4, rate",
		"Effective rank", "does\nnot show which method is better"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("printed no %q:\n%s", want, stdout)
		}
	}
	code, _, stderr = agora(t, "demo", "--out", dir)
	if code != 1 || !strings.Contains(stderr, "--out "+dir+": want a new or empty folder") {
		t.Errorf("--out that holds something: exit code %d, %s", code, stderr)
	}
	code, _, stderr = agora(t, "demo", "--steps", "0")
	if code != 1 || !strings.Contains(stderr, "--steps 0: want at least 1") {
		t.Errorf("--steps 0: exit code %d, %s", code, stderr)
	}

	model, trained := filepath.Join(dir, toy.ModelFolder), filepath.Join(dir, "trained")
	s := mustJSON[train.Summary](t, "train", "--model", model, "--data",
		filepath.Join(dir, filepath.FromSlash(toy.TrainFile)),
		"--max-tokens", "32", "--steps", "10", "--lr", "1e-2", "--held-out", "40", "--batch-rows", "20", "--out",
		trained)
	if s.Steps != 10 || s.HeldOutBefore == nil || s.HeldOutAfter == nil || !(*s.HeldOutAfter < *s.HeldOutBefore) {
		t.Errorf("training on what demo left: %+v", s)
	}
	for _, adapter := range []string{toy.LoRAFolder, toy.MultiLoRAFolder, "trained"} {
		g := mustJSON[generation](t, "generate", "--model", model, "--adapter", filepath.Join(dir, adapter),
			"--prompt", toy.Prompt, "--greedy")
		if !strings.HasPrefix(g.Text, toy.Prompt) || len(g.IDs) <= 1+len(toy.Prompt) {
			t.Errorf("generating with %s: %+v", adapter, g)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 5 { // data, lora, model, multilora, trained
		t.Errorf("folder holds %v, error %v", entries, err)
	}
}
