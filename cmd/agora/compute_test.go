package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// --compute-dtype reaches every command that runs a model in blocks: train, eval, generate.
func TestComputeDType(t *testing.T) {
	model := tinymodel.Write(t)
	settings := append(hardRun(t), "--model", model, "--dtype", "q4")
	exactOut, out := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	exact := mustJSON[train.Summary](t, append(settings, "--out", exactOut)...)
	half := mustJSON[train.Summary](t, append(settings, "--out", out, "--compute-dtype", "bf16")...)
	t.Logf("held-out loss %.4f, in f32 %.4f", *half.HeldOutAfter, *exact.HeldOutAfter)
	if d := math.Abs(*half.HeldOutAfter / *exact.HeldOutAfter - 1); d == 0 || d > 0.05 ||
		*half.HeldOutAfter > *half.HeldOutBefore-0.5 {
		t.Errorf("held-out loss %v, then %v; in f32 %v", *half.HeldOutBefore, *half.HeldOutAfter, *exact.HeldOutAfter)
	}
	if half.PeakBytes >= exact.PeakBytes {
		t.Errorf("%d bytes at most, in f32 %d", half.PeakBytes, exact.PeakBytes)
	}
	for folder, want := range map[string]string{exactOut: `compute-dtype: "f32"`, out: `compute-dtype: "bf16"`} {
		if text, err := os.ReadFile(filepath.Join(folder, train.ConfigFile)); err != nil ||
			!strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s in %s (%v)", want, text, err)
		}
	}

	use := []string{"--model", model, "--adapter", out, "--dtype", "q4"}
	wide, narrow := perplexityOf(t, use...), perplexityOf(t, append(use, "--compute-dtype", "bf16")...)
	if d := math.Abs(narrow/wide - 1); d == 0 || d > 0.02 {
		t.Errorf("likelihood %v, in f32 %v", narrow, wide)
	}
	g := mustJSON[generation](t, append([]string{"generate", "--prompt", "1:", "--greedy", "--max-tokens", "9",
		"--ignore-eos", "--compute-dtype", "f16"}, use...)...)
	if len(g.IDs) != 2+9 {
		t.Errorf("generated %+v", g)
	}
}

// A run whose config.yaml has no compute-dtype is one in f32, and goes on to the same bits.
func TestResumeWithoutComputeDType(t *testing.T) {
	settings := append(hardRun(t), "--dtype", "q4", "--device", "cpu")
	whole, parts := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if text, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	stop(t, process(append(settings, "--out", parts)...), parts, 11, os.Interrupt, exitInterrupted)
	path := filepath.Join(parts, train.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(string(text), "compute-dtype: \"f32\"\n", "", 1)
	if old == string(text) {
		t.Fatalf("no compute-dtype in\n%s", text)
	}
	if err := os.WriteFile(path, []byte(old), 0o666); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := agora(t, "train", "--out", parts, "--resume", "--compute-dtype", "bf16")
	if want := `--compute-dtype: want "f32", as the run in`; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("in another type: exit code %d, want 1 and %q in\n%s", code, want, stderr)
	}
	if text, err := process("train", "--out", parts, "--resume", "--device", "cpu").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	sameRuns(t, whole, parts)
}

// A model that is not quantized is in the type that it is to compute in.
func TestComputeDTypeOfAnUnquantizedModel(t *testing.T) {
	model := tinymodel.Write(t)
	loss := func(flags ...string) float64 {
		r := mustJSON[struct{ NLL float64 }](t, append([]string{"eval", "--task", "perplexity", "--text", "main.go", "--model", model,
			"--device", "cpu"}, flags...)...)
		return r.NLL
	}
	computed, stored, wide := loss("--compute-dtype", "bf16"), loss("--dtype", "bf16"), loss("--dtype", "f32")
	if computed != stored || computed == wide || computed == 0 {
		t.Errorf("losses %v, in bf16 %v, in f32 %v", computed, stored, wide)
	}
}

func TestComputeDTypeRefuses(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"--dtype bf16 --compute-dtype f32", "--compute-dtype: want bf16 with --dtype bf16 (another is for --dtype q8, q4, q4_k or nf4), got f32"},
		{"--dtype f32 --compute-dtype bf16", "--compute-dtype: want f32 with --dtype f32"},
		{"--dtype q4 --compute-dtype q8", `--compute-dtype "q8": want one of [f32 bf16 f16]`},
	} {
		for _, command := range []string{"generate --prompt a", "eval --task perplexity --text main.go"} {
			args := append(strings.Fields(command+" "+c.flags), "--model", tinymodel.Write(t))
			if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("agora %v: exit code %d, want 1 and %q in\n%s", args, code, c.want, stderr)
			}
		}
	}
}
