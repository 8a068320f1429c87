package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/folderlock"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/train"
)

// A run is cut at random moments, and has the bits of one that was not. What it was made from
// is only read.
func TestVerifyResume(t *testing.T) {
	t.Setenv(asProgram, "1") // for its processes
	run := filepath.Join(t.TempDir(), "run")
	mustJSON[train.Summary](t, append(hardRun(t), "--steps", "3", "--device", testdevice.Name(), "--out", run)...)
	before := runFiles(t, run)
	cfg := train.Defaults()
	if err := cfg.Read(filepath.Join(run, train.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	cfg.Steps, cfg.Epochs = 300, 4 // in place of which there are --steps
	longer := filepath.Join(t.TempDir(), "longer.yaml")
	if err := cfg.Write(longer); err != nil {
		t.Fatal(err)
	}
	for source, steps := range map[string]int{run: 3, longer: 14} {
		out := filepath.Join(t.TempDir(), "out")
		v := mustJSON[verification](t, "verify-resume", source, "--steps", "14", "--cuts", "4", "--seed", "3",
			"--out", out, "--device", testdevice.Name())
		if !v.Same || v.Seed != 3 || v.Steps != steps || v.Files < 10 || v.Folder != out ||
			v.Device["device"] == "" || len(v.Cuts) == 0 || len(v.Cuts) > 4 {
			t.Errorf("%s: got %+v", source, v)
		}
		for i, c := range v.Cuts {
			if c.How != []string{"kill", "interrupt"}[i%2] || c.Aim >= steps {
				t.Errorf("cut %d is %+v", i+1, c)
			}
		}
		if err := os.Remove(filepath.Join(out, "cut", folderlock.File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err) // it stays where a run is killed that had ended
		}
		sameFiles(t, filepath.Join(out, "whole"), filepath.Join(out, "cut"))
	}
	if after := runFiles(t, run); len(after) != len(before) ||
		after["adapter.safetensors"] != before["adapter.safetensors"] {
		t.Error("the run itself was written to")
	}
	// A temporary folder goes.
	t.Setenv("TMPDIR", t.TempDir())
	if code, stdout, stderr := agora(t, "verify-resume", run, "--cuts", "1", "--device",
		testdevice.Name()); code != 0 ||
		!strings.Contains(stdout, "the same bits: all ") || !strings.Contains(stderr, "seed ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	for want, args := range map[string][]string{
		"want a run's folder or a YAML file of settings": {t.TempDir()},
		"--cuts 0: want at least 1":                      {run, "--cuts", "0"},
		"--steps -1: want at least 1":                    {run, "--steps", "-1"},
		"want a new or empty folder":                     {run, "--out", run},
	} {
		if code, _, stderr := agora(t, append([]string{"verify-resume"}, args...)...); code != 1 ||
			!strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, want 1 and %q in\n%s", args, code, want, stderr)
		}
	}
}

// What differs in two runs is found and named, whatever it is.
func TestCompare(t *testing.T) {
	whole, parts := interruptedRun(t)
	if code, _, stderr := agora(t, "train", "--out", parts, "--resume", "--device", "cpu"); code != 0 {
		t.Fatal(stderr)
	}
	if n, different, err := train.Compare(whole, parts); err != nil || len(different) > 0 ||
		n != len(runFiles(t, whole))+3 {
		t.Fatalf("%d files, %v, %v", n, different, err)
	}
	replace := func(name, old, now string) func(dir string) error {
		return func(dir string) error {
			return edit(filepath.Join(dir, name), func(b []byte) []byte {
				text := strings.Replace(string(b), old, now, 1)
				if text == string(b) {
					t.Errorf("%s has no %q", name, old)
				}
				return []byte(text)
			})
		}
	}
	last := filepath.Join(train.CheckpointsFolder, stepName(15))
	for want, do := range map[string]func(dir string) error{
		"adapter.safetensors: tensor ": func(dir string) error {
			return flip(filepath.Join(dir, "adapter.safetensors"), 0.999)
		},
		"optimizer.safetensors: tensor ": func(dir string) error {
			return flip(filepath.Join(dir, last, "optimizer.safetensors"), 0.999)
		},
		"optimizer.safetensors: only in ": func(dir string) error {
			return os.Remove(filepath.Join(dir, last, "optimizer.safetensors"))
		},
		"notes: only in ": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "notes"), nil, 0o666)
		},
		"state.json: field loss: ":           replace(filepath.Join(last, "state.json"), `"loss": `, `"loss": 1`),
		"metrics.jsonl: record 2: ":          replace("metrics.jsonl", `"rows":4`, `"rows":5`),
		`config.yaml: rank: "4" and "14"`:    replace("config.yaml", "rank: ", "rank: 1"),
		"summary.json: field trained: ":      replace("summary.json", `"trained": `, `"trained": 1`),
		"adapter.json: field rank: 4 and 14": replace("adapter.json", `"rank": `, `"rank": 1`),
		"tensorboard: 1 and 0 event files": func(dir string) error {
			return os.RemoveAll(filepath.Join(dir, train.TensorBoardFolder))
		},
	} {
		dir := damaged(t, parts, func(dir, _ string) error { return do(dir) })
		_, different, err := train.Compare(whole, dir)
		if err != nil || len(different) != 1 || !strings.Contains(different[0].String(), want) {
			t.Errorf("got %v, %v, want %s", different, err, want)
		}
	}
	// What the clock has measured is none, nor the lock that a killed run leaves.
	dir := damaged(t, parts, func(dir, _ string) error {
		if err := os.WriteFile(filepath.Join(dir, folderlock.File), nil, 0o666); err != nil {
			return err
		}
		return replace("metrics.jsonl", `"time":1`, `"time":2`)(dir)
	})
	if _, different, err := train.Compare(whole, dir); err != nil || len(different) > 0 {
		t.Errorf("got %v, %v", different, err)
	}
}
