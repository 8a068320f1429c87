package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/testdevice"
)

func TestPlan(t *testing.T) {
	config := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(config, []byte("model: llama-7b\ndtype: bf16\nmax-tokens: 1024\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := agora(t, "plan", config, "--device", "cpu", "--accumulate", "2", "--memory-limit",
		"1000000")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	for _, want := range []string{"llama-7b: 6738415616 parameters", "3 × rank 8 on 224 layers",
		"at most 8192 tokens a step", "2 × 4 rows of 1024", "activations", "process"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	p := mustJSON[planReport](t, "plan", config, "--device", "cpu", "--memory-limit", "1000000")
	k := p.Memory
	if sum := k.Weights + k.Adapters + k.Gradients + k.Moments + k.Activations + k.Logits; !p.Fits || p.Peak != sum ||
		p.Available != 1000000<<20 || p.Tokens != 1024 {
		t.Errorf("plan %+v, the kinds are %d bytes", p, sum)
	}
}

// For a GPU a plan counts no memory of the CPU's kernels: neither agora plan nor a run's own.
func TestPlanOnADevice(t *testing.T) {
	model, _ := realModel(t)
	name := testdevice.Name()
	onCPU := name == "cpu"
	p := mustJSON[planReport](t, "plan", "--model", model, "--device", name)
	if (p.Scratch > 0) != onCPU || (p.Process > 0) != onCPU || p.Peak == 0 || p.Reserve == 0 {
		t.Errorf("on %s: %+v", name, p.Plan)
	}
	for _, args := range [][]string{
		{"plan", "--model", model, "--device", name},
		{"train", "--model", model, "--data", someRows(t), "--out", filepath.Join(t.TempDir(), "run"), "--steps", "1",
			"--held-out", "0", "--device", name},
	} {
		code, stdout, stderr := agora(t, args...)
		if text := stdout + stderr; code != 0 || !strings.Contains(text, "reserve") ||
			strings.Contains(text, "of the CPU's kernels") != onCPU {
			t.Errorf("%s on %s: exit code %d\n%s", args[0], name, code, text)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	args := []string{"plan", "--model", "llama-7b", "--device", "cpu", "--memory-limit", "9500"}
	code, stdout, stderr := agora(t, args...)
	if code != 1 || !strings.Contains(stdout, "activations") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	for _, want := range []string{"9.28 GiB is available", "too much  dtype: q8, compute-dtype: bf16\n",
		"fits      batch-rows: 1, accumulate: 4, gradient-checkpointing: true, dtype: q8, compute-dtype: bf16"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
	code, stdout, _ = agora(t, append(args, "--json")...)
	var p planReport
	if err := json.Unmarshal([]byte(stdout), &p); code != 1 || err != nil || p.Fits || len(p.Changes) < 6 {
		t.Errorf("exit code %d, %v, %+v", code, err, p)
	}
	if code, _, stderr := agora(t, "plan", "--device", "cpu", "--model", "llama-8b"); code != 1 ||
		!strings.Contains(stderr, "llama-65b") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
