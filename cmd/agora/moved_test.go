package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/train"
)

// A run whose model, tokenizer and data have moved goes on in their new places, and ends with
// the bits of one that has never moved; another model, tokenizer or file is refused by its name.
func TestResumeElsewhere(t *testing.T) {
	for name, method := range map[string][]string{"lora": {"--method", "lora"},
		"full": {"--method", "full", "--dropout", "0"}} {
		t.Run(name, func(t *testing.T) {
			settings := append(append(hardRun(t), method...), "--device", testdevice.Name())
			value := func(flag string) *string { return &settings[slices.Index(settings, flag)+1] }
			model, rows := *value("--model"), *value("--data")
			more := filepath.Join(t.TempDir(), "more.jsonl")
			if err := os.WriteFile(more, []byte(`{"prompt": "more:", "completion": "rows"}`+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			*value("--data") = rows + "," + more
			settings = append(settings, "--tokenizer", model)
			whole, parts := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
			if out, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			stop(t, process(append(settings, "--out", parts)...), parts, 11, os.Interrupt, exitInterrupted)

			there := t.TempDir()
			move := func(from, name string) string {
				t.Helper()
				to := filepath.Join(there, name)
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
				return to
			}
			newModel, newRows, newMore := move(model, filepath.Base(model)), move(rows, "a"), move(more, "b")
			newOut := move(parts, "run")
			resume := func(model, tokenizer, data string) []string {
				return []string{"train", "--out", newOut, "--resume", "--model", model, "--tokenizer", tokenizer,
					"--data", data, "--device", testdevice.Name()}
			}
			refused := func(want string, args ...string) {
				t.Helper()
				if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, want) {
					t.Errorf("agora %v: exit code %d, want 1 and %q in\n%s", args, code, want, stderr)
				}
			}
			refused("config.yaml:2: model: open "+model, "train", "--out", newOut, "--resume")
			refused("(--model names another place)", "train", "--out", newOut, "--resume")
			refused("(--data names another place)", "train", "--out", newOut, "--resume", "--model", newModel,
				"--tokenizer", newModel)
			refused("--data: want the run's 2 files in their order, got 1", resume(newModel, newModel, newRows)...)
			refused("--data: "+newMore+" is not the file that the run began with: want ",
				resume(newModel, newModel, newMore+","+newRows)...)
			// One byte of each file is another; then none is.
			for _, c := range []struct{ setting, path string }{
				{"model", filepath.Join(newModel, "config.json")},
				{"model", filepath.Join(newModel, "model.safetensors")},
				{"tokenizer", filepath.Join(newModel, "tokenizer.json")},
				{"tokenizer", filepath.Join(newModel, "tokenizer_config.json")}, {"data", newRows},
			} {
				good, err := os.ReadFile(c.path)
				if err != nil {
					t.Fatal(err)
				}
				bad := slices.Clone(good)
				bad[len(bad)-1] ^= 1
				if err := os.WriteFile(c.path, bad, 0o666); err != nil {
					t.Fatal(err)
				}
				refused(c.setting+": "+c.path+" is not the file that the run began with: want the SHA-256 ",
					resume(newModel, newModel, newRows+","+newMore)...)
				if err := os.WriteFile(c.path, good, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(newModel, "special_tokens_map.json"), []byte("{}"),
				0o666); err != nil {
				t.Fatal(err)
			}
			refused(`want what the run began with, a folder with ["tokenizer.json" "tokenizer_config.json"], got a folder with ["tokenizer.json" "tokenizer_config.json" "special_tokens_map.json"]`,
				resume(newModel, newModel, newRows+","+newMore)...)
			if err := os.Remove(filepath.Join(newModel, "special_tokens_map.json")); err != nil {
				t.Fatal(err)
			}

			stop(t, process(resume(newModel, newModel, newRows+","+newMore)...), newOut, 23, os.Interrupt,
				exitInterrupted)
			// The new places are the run's from now on.
			if out, err := process("train", "--out", newOut, "--resume", "--device",
				testdevice.Name()).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			a, b := runFiles(t, whole), runFiles(t, newOut)
			for _, files := range []map[string]string{a, b} {
				if files[train.ConfigFile] == "" {
					t.Error("no config.yaml")
				}
				delete(files, train.ConfigFile) // this alone has the places
			}
			if !maps.Equal(a, b) {
				for name := range a {
					if a[name] != b[name] {
						t.Errorf("%s differs", name)
					}
				}
				t.Errorf("the files are %v and %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
			}
		})
	}
}

// A checkpoint of an earlier version knows nothing of the files: it is gone on with, with a
// warning, and the next one knows. The rows are compared all the same.
func TestResumeWithoutInputs(t *testing.T) {
	settings := hardRun(t)
	out := filepath.Join(t.TempDir(), "run")
	stop(t, process(append(settings, "--out", out)...), out, 6, os.Interrupt, exitInterrupted)
	editState(t, out, func(state map[string]any) {
		if inputs, _ := state["inputs"].([]any); len(inputs) != 5 { // config.json, model.safetensors, tokenizer.json, tokenizer_config.json, rows.jsonl
			t.Fatalf("inputs %v", state["inputs"])
		}
		older(state)
		delete(state, "inputs")
	})
	rows := settings[slices.Index(settings, "--data")+1]
	good, err := os.ReadFile(rows)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.jsonl")
	if err := os.WriteFile(copied, bytes.Replace(good, []byte("a"), []byte("b"), 1), 0o666); err != nil {
		t.Fatal(err)
	}
	resume := []string{"train", "--out", out, "--resume", "--data", copied}
	if code, _, stderr := agora(t, resume...); code != 1 || !strings.Contains(stderr, "the data have changed") {
		t.Errorf("other rows: exit code %d\n%s", code, stderr)
	}
	if err := os.WriteFile(copied, good, 0o666); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := agora(t, resume...)
	if code != 0 || !strings.Contains(stderr, "is of an earlier version and knows its rows, but not its model") ||
		!strings.Contains(stderr, "is of an earlier version: whether its files are as they were written, and settings and device those of the run, cannot be checked") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if n := len(readState(t, out).Inputs); n != 5 {
		t.Errorf("the last checkpoint knows %d files", n)
	}
}

// older makes of a state that of version 1.
func older(state map[string]any) {
	state["version"] = 1
	for _, name := range []string{"program", "device", "settings", "files", "state_sha256"} {
		delete(state, name)
	}
}

// savedState is what the tests look at in a checkpoint's state.json.
type savedState struct {
	Inputs  []any
	Rates   map[string]float64
	Changes []train.RateChange
}

func readState(t *testing.T, out string) (s savedState) {
	t.Helper()
	text, err := os.ReadFile(statePath(out))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// editState changes the newest checkpoint's state.json.
func editState(t *testing.T, out string, edit func(state map[string]any)) {
	t.Helper()
	var state map[string]any
	text, err := os.ReadFile(statePath(out))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err == nil {
		edit(state)
		text, err = json.Marshal(state)
	}
	if err == nil {
		err = os.WriteFile(statePath(out), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func statePath(out string) string {
	return filepath.Join(out, train.CheckpointsFolder, stepName(newest(out)), "state.json")
}

// Without a checkpoint there is nothing to compare another place with.
func TestResumeElsewhereWithoutCheckpoint(t *testing.T) {
	settings := append(hardRun(t), "--save-every", "1000")
	out := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := agora(t, append(settings, "--steps", "1", "--out", out)...); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.Remove(filepath.Join(out, train.SummaryFile)); err != nil { // as if it had been killed
		t.Fatal(err)
	}
	code, _, stderr := agora(t, "train", "--out", out, "--resume", "--data", "elsewhere.jsonl")
	if code != 1 || !strings.Contains(stderr, "has no checkpoint to compare") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}
