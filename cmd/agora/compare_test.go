package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/compare"
)

const tinyExperiment = `name: tiny
base: {generated: sums, steps: 6, lr: 3e-3, seeds: [1, 2]}
train: {steps: [4], warmup: 1, batch-rows: 4, curve-every: 2, validation-rows: 2, test-rows: 3}
seeds: {tune: [11, 12, 13], score: [1, 2, 3], rounds: 0}
methods:
  - {name: LoRA, method: lora, rank: 4, lr: [1e-3, 2e-3], deciding: true}
  - {name: MultiLoRA, method: multilora, modules: 2, rank: 2, lr: [1e-3, 2e-3], deciding: true}
pairs: [[MultiLoRA, LoRA]]
speed: {rounds: 2, steps: 1}
`

// withoutTimes are results as JSON without what another run on the same machine has otherwise.
func withoutTimes(t *testing.T, r compare.Results) string {
	t.Helper()
	r.Speed = nil
	for i := range r.Runs {
		r.Runs[i].Timing = compare.Timing{}
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCompareGoesOnAfterAKill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tiny.yaml")
	if err := os.WriteFile(file, []byte(tinyExperiment), 0o666); err != nil {
		t.Fatal(err)
	}
	args := func(out string, more ...string) []string {
		return append([]string{"compare", file, "--device", "cpu", "--out", out}, more...)
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if p := mustJSON[compare.Plan](t, args(whole, "--plan")...); p.Runs() != 2+12+6 || p.Missing.Runs() != 20 ||
		p.Seconds <= 0 {
		t.Errorf("plan %+v", p)
	}
	want := mustJSON[compare.Results](t, args(whole)...)
	if len(want.Findings) != 1 || len(want.Runs) != 6 || len(want.Speed) != 2 {
		t.Errorf("results %+v", want)
	}
	code, stdout, stderr := agora(t, args(whole)...)
	if code != 0 || !strings.Contains(stderr, "time: none: all runs are there") ||
		!strings.Contains(stdout, want.Findings[0]) ||
		!strings.Contains(stdout, "after 4 steps: mean ± standard deviation over seeds") {
		t.Errorf("again: exit code %d\n%s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(whole, compare.ReportFile)); err != nil {
		t.Error(err)
	}

	// Killed where bases are made, where rates are chosen, and where runs count, it goes on.
	killed := filepath.Join(t.TempDir(), "killed")
	for _, line := range []string{"base of seed", "LoRA, 4 steps: rate", "measuring the time"} {
		p := process(args(killed)...)
		out, err := p.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		told := false
		for lines := bufio.NewScanner(out); lines.Scan() && !told; {
			if told = strings.HasPrefix(lines.Text(), line); told {
				if err := p.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		_ = p.Wait() // killed
		if !told {
			t.Errorf("no line %q", line)
		}
	}
	if got := mustJSON[compare.Results](t, args(killed)...); withoutTimes(t, got) != withoutTimes(t, want) {
		t.Errorf("killed and gone on with it found\n%s\nwhole\n%s", withoutTimes(t, got), withoutTimes(t, want))
	}
}

func TestCompareErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: x\nmethod: lora\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "agora compare: want a file or --scale small|default|full|full-sums, got neither"},
		{[]string{bad, "--scale", "small"}, "got both"},
		{[]string{bad}, `bad.yaml:2: unknown field "method"`},
		{[]string{bad + "x"}, "no such file"},
		{[]string{"--scale", "huge"}, `--scale: scale "huge": want one of small, default, full, full-sums`},
		{[]string{"--scale", "small", "--profile", "x"}, "--profile: want it with a single run"},
		{[]string{bad, "--yaml"}, "--yaml: want it with --scale"},
	} {
		code, _, stderr := agora(t, append([]string{"compare", "--device", "cpu", "--out",
			filepath.Join(t.TempDir(), "out")}, c.args...)...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %s, want %s", c.args, code, stderr, c.want)
		}
	}
}

// What --yaml prints is an experiment.
func TestCompareYAML(t *testing.T) {
	for _, scale := range compare.Scales() {
		code, stdout, stderr := agora(t, "compare", "--scale", scale, "--yaml")
		if code != 0 {
			t.Fatal(stderr)
		}
		file := filepath.Join(t.TempDir(), "own.yaml")
		if err := os.WriteFile(file, []byte(stdout), 0o666); err != nil {
			t.Fatal(err)
		}
		if e, err := compare.Read(file); err != nil || e.Name == "" {
			t.Errorf("%s: %v, %v", scale, e, err)
		}
	}
}
