package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/train"
)

// Where the processor has AMX --matmul-precision high is what products of f32 are computed by, and part of a run's
// arithmetic; elsewhere it is as highest, and so it is said.
func TestMatmulPrecision(t *testing.T) {
	want, line := cpu.Highest, ": products of f32 are as by highest"
	if cpu.Describe().GEMMParts != "" {
		want, line = cpu.High, "products of f32 are computed by two parts of bf16 each"
	}
	gemm := []string{"bench", "gemm", "--device", "cpu", "--sizes", "64,70x33x45", "--rounds", "1", "--round", "0s", "--peak", "1"}
	if r := mustJSON[bench.GEMM](t, gemm...); r.MatmulPrecision != cpu.Highest {
		t.Errorf("bench gemm says %s", r.MatmulPrecision)
	}
	if r := mustJSON[bench.GEMM](t, append(gemm, "--matmul-precision", "high")...); r.MatmulPrecision != want || len(r.Products) != 6 {
		t.Errorf("bench gemm says %+v, want %s", r, want)
	}
	code, _, stderr := agora(t, append(gemm, "--matmul-precision", "medium")...)
	if code == 0 || !strings.Contains(stderr, "--matmul-precision") || !strings.Contains(stderr, `want highest or high, got "medium"`) {
		t.Errorf("exit code %d, printed %s", code, stderr)
	}
	generate := []string{"bench", "generate", "--device", "cpu", "--shape", smallShape(t), "--prompt", "3", "--tokens", "2", "--rounds", "1"}
	if r := mustJSON[bench.Generation](t, generate...); r.MatmulPrecision != cpu.Highest {
		t.Errorf("bench generate says %s", r.MatmulPrecision)
	}
	if r := mustJSON[bench.Generation](t, append(generate, "--matmul-precision", "high")...); r.MatmulPrecision != want {
		t.Errorf("bench generate says %s, want %s", r.MatmulPrecision, want)
	}
	run := append(hardRun(t), "--steps", "5", "--device", "cpu", "--json")
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := agora(t, append(run, "--out", dir, "--matmul-precision", "high")...)
	var summary train.Summary
	if err := json.Unmarshal([]byte(stdout), &summary); code != 0 || err != nil || summary.MatmulPrecision != string(want) {
		t.Errorf("train: exit code %d, %v, by %q, want %s\n%s", code, err, summary.MatmulPrecision, want, stderr)
	}
	if strings.Count(stderr, line) != 1 {
		t.Errorf("train said %q, want a line with %q", stderr, line)
	}
	var state struct{ Device map[string]string }
	text, err := os.ReadFile(statePath(dir))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if got, there := state.Device["matmul-precision"]; err != nil || there != (want == cpu.High) || there && got != "high" {
		t.Errorf("state.json says %v, %v", state.Device, err)
	}
}
