package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// The settings of a file count, and flags win over them.
func TestConfigFileAndFlags(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "run")
	config := filepath.Join(dir, "run.yaml")
	text := "model: " + tinymodel.Write(t) + "\ndata: [" + someRows(t) + "]\nout: " + out + "\n" +
		"max-tokens: 64\nloss: all\ntruncate: start\nheld-out: 2\nsteps: 9\nlr: 0.5\nmethod: lora\nrank: 2\n"
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	s := mustJSON[train.Summary](t, "train", config, "--steps", "3", "--lr", "1e-3", "--rank=3")
	if s.Steps != 3 {
		t.Errorf("%d steps, want the 3 of the flag", s.Steps)
	}
	used := train.Defaults()
	if err := used.Read(filepath.Join(out, train.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	if used.LR != 1e-3 || used.Adapter.Rank != 3 || used.Adapter.Method != "lora" || used.Loss != "all" ||
		used.Adapter.Alpha != 3 {
		t.Errorf("the run used %+v", used)
	}
}

// A new model from nothing but a configuration and a tokenizer, then full fine-tuning of
// it: each writes a folder that every command takes.
func TestFromScratchThenFull(t *testing.T) {
	tiny, rows := tinymodel.Write(t), someRows(t)
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	settings := []string{"--data", rows, "--max-tokens", "64", "--loss", "all", "--truncate", "start", "--held-out",
		"2", "--lr", "1e-2", "--steps", "30", "--truncate", "start"}
	s := mustJSON[train.Summary](t, append([]string{"train", "--from-scratch", filepath.Join(tiny, "config.json"),
		"--tokenizer", tiny, "--out", first}, settings...)...)
	if s.Trained != s.Parameters || *s.HeldOutAfter > *s.HeldOutBefore-0.5 {
		t.Errorf("%d of %d parameters trained; held-out loss %v, then %v", s.Trained, s.Parameters, *s.HeldOutBefore,
			*s.HeldOutAfter)
	}
	again := mustJSON[train.Summary](t, append([]string{"train", "--method", "full", "--model", first, "--out",
		second}, settings...)...)
	if *again.HeldOutBefore != *s.HeldOutAfter {
		t.Errorf("the saved model begins at a loss of %v, and ended at %v", *again.HeldOutBefore, *s.HeldOutAfter)
	}
	g := mustJSON[generation](t, "generate", "--model", second, "--prompt", "Say", "--max-tokens", "5")
	if len(g.IDs) == 0 {
		t.Errorf("the model writes nothing: %+v", g)
	}
	code, _, stderr := agora(t, "train", "--from-scratch", filepath.Join(tiny, "config.json"), "--tokenizer", tiny,
		"--data", rows, "--out", first)
	if code != 1 || !strings.Contains(stderr, "without an earlier run") {
		t.Errorf("a model that is there: exit code %d, %s", code, stderr)
	}
}

// With a rate at which the loss only rises, the run ends early, and the result is that of
// the best measurement.
func TestEarlyStopKeepsTheBest(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	s := mustJSON[train.Summary](t, "train", "--model", tinymodel.Write(t), "--data", someRows(t), "--max-tokens",
		"64", "--loss", "all", "--truncate", "start",
		"--held-out", "4", "--method", "lora", "--lr", "1", "--warmup-steps", "6", "--schedule", "constant",
		"--steps", "200",
		"--eval-every", "2", "--early-stop", "2", "--result", "best", "--save-every", "0", "--out", out,
		"--clip-norm", "0")
	if !s.EarlyStopped || s.Steps >= 200 || s.Best == nil || s.Steps != s.Best.Step+4 {
		t.Fatalf("summary %+v, best %+v", s, s.Best)
	}
	best := checkpointSteps(t, out)
	if !slices.Equal(best, []int{s.Best.Step}) {
		t.Fatalf("there are checkpoints of the steps %v, want that of the best, %d", best, s.Best.Step)
	}
	result, kept := runFiles(t, out)["adapter.safetensors"], runFiles(t, filepath.Join(out, train.CheckpointsFolder,
		fmt.Sprintf("step-%06d", best[0])))["adapter.safetensors"]
	if result == "" || result != kept {
		t.Error("the result is not the best checkpoint's")
	}
}

// Epochs stand for as many steps as the data have batches.
func TestEpochs(t *testing.T) {
	s := mustJSON[train.Summary](t, "train", "--model", tinymodel.Write(t), "--data", someRows(t), "--max-tokens",
		"64", "--loss", "all", "--truncate", "start",
		"--held-out", "2", "--epochs", "2.5", "--batch-rows", "3", "--out", filepath.Join(t.TempDir(), "run"))
	if s.TrainRows != 10 || s.Steps != 9 { // 25 rows in batches of 3
		t.Errorf("%d steps on %d rows", s.Steps, s.TrainRows)
	}
}

// In f16 the loss falls as it does in f32. Steps that the first scale is too large for are
// told of, and not counted by the optimizer.
func TestMixedPrecision(t *testing.T) {
	model, rows := tinymodel.Write(t), someRows(t)
	settings := func(out string, more ...string) []string {
		return append([]string{"train", "--model", model, "--data", rows, "--max-tokens", "64", "--loss", "all",
			"--truncate", "start", "--held-out", "4",
			"--lr", "1e-2", "--steps", "30", "--out", out}, more...)
	}
	f32 := mustJSON[train.Summary](t, settings(filepath.Join(t.TempDir(), "f32"))...)
	f16 := mustJSON[train.Summary](t, settings(filepath.Join(t.TempDir(), "f16"), "--dtype", "f16")...)
	if f16.Skipped != 0 || math.Abs(*f16.HeldOutAfter-*f32.HeldOutAfter) > 0.02 ||
		*f16.HeldOutAfter > *f16.HeldOutBefore-0.5 {
		t.Errorf("f16: %d skipped, held-out loss %v, then %v; f32 %v", f16.Skipped, *f16.HeldOutBefore,
			*f16.HeldOutAfter, *f32.HeldOutAfter)
	}

	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := agora(t, settings(out, "--dtype", "f16", "--loss-scale", "4294967296")...)
	if code != 0 {
		t.Fatal(stderr)
	}
	skipped, scale := 0, float64(1<<32)
	for _, r := range records(t, out) {
		if r.Loss == nil {
			continue
		}
		if r.LossScale != scale || r.Skipped == (r.GradNorm > 0) {
			t.Fatalf("want loss scale %v in %+v", scale, r)
		}
		if r.Skipped {
			skipped, scale = skipped+1, scale/2
		}
	}
	line := "step 1 skipped: its gradient does not fit f16 at loss scale 4294967296, which is now 2147483648"
	if skipped == 0 || strings.Count(stderr, " skipped: ") != skipped || !strings.Contains(stderr, line) ||
		!strings.Contains(stdout, fmt.Sprintf("%d of 30 steps", skipped)) {
		t.Errorf("%d steps were skipped; printed\n%s%s", skipped, stderr, stdout)
	}
	for _, dtype := range []string{"f32", "bf16"} {
		out := filepath.Join(t.TempDir(), dtype)
		mustJSON[train.Summary](t, settings(out, "--dtype", dtype, "--steps", "2")...)
		for _, r := range records(t, out) {
			if r.LossScale != 0 {
				t.Errorf("%s has a loss scale: %+v", dtype, r)
			}
		}
	}
}

// A run that diverges ends with an error that says where, and keeps the state before.
func TestDivergenceKeepsACheckpoint(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	code, _, stderr := agora(t, "train", "--model", tinymodel.Write(t), "--data", someRows(t), "--max-tokens", "64",
		"--loss", "all", "--truncate", "start",
		"--held-out", "0", "--method", "full", "--lr", "1e30", "--warmup-steps", "2", "--steps", "50", "--save-every",
		"1", "--out", out)
	if code != 1 || !strings.Contains(stderr, "training has diverged; the first number that is not finite came from") ||
		!strings.Contains(stderr, "rows.jsonl row ") || !strings.Contains(stderr, "the state before that step is in") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	steps := checkpointSteps(t, out)
	if !slices.Equal(steps, []int{1, 2}) {
		t.Fatalf("checkpoints of the steps %v", steps)
	}
	if code, _, again := agora(t, "train", "--out", out, "--resume"); code != 1 ||
		!strings.Contains(again, "diverged") {
		t.Errorf("resumed: exit code %d\n%s", code, again)
	}
	// The step at rate 0 has spoilt nothing: from there a sensible rate trains the model.
	if err := os.RemoveAll(filepath.Join(out, train.CheckpointsFolder, stepName(2))); err != nil {
		t.Fatal(err)
	}
	s := mustJSON[train.Summary](t, "train", "--out", out, "--resume", "--lr", "1e-2")
	if first := *records(t, out)[0].Loss; s.Steps != 50 || s.Loss > first-0.5 {
		t.Errorf("at a lower rate the loss is %v after %d steps, and was %v", s.Loss, s.Steps, first)
	}
}
