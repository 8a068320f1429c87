package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/train"
)

// Every run of examples/full-size can be planned, and its README says what the plan does.
func TestFullSizeRuns(t *testing.T) {
	dir := filepath.Join("..", "..", "examples", "full-size")
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "llama-*.yaml"))
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files, %v, want 5", len(files), err)
	}
	for _, file := range files {
		model := strings.TrimSuffix(filepath.Base(file), ".yaml")
		p := mustJSON[train.Plan](t, "plan", file, "--model", model, "--device", "cpu", "--memory-limit", "900G", "--json")
		shared := mustJSON[train.Plan](t, "plan", file, "--model", model, "--device", "cpu", "--memory-limit", "900G",
			"--processes", "8", "--shard", "weights", "--json")
		if want := fmt.Sprintf("%.1f GiB | %s | %.1f GB | %.1f GiB |", float64(p.Peak)/(1<<30), thousands(p.Step),
			4e-9*float64(p.Trained), float64(shared.Peak)/(1<<30)); !strings.Contains(string(text), "`"+filepath.Base(file)+"` | ") ||
			!strings.Contains(string(text), want) {
			t.Errorf("%s: README.md has no row with %s", file, want)
		}
	}
}

func thousands(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
