package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
)

// inGroup makes a control group of version 1 or 2 that may hold so many bytes, and gives the
// command that runs the program in it.
func inGroup(t *testing.T, limit int) func(args ...string) *exec.Cmd {
	t.Helper()
	name := fmt.Sprintf("agora-test-%d", os.Getpid())
	for dir, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes",
		"/sys/fs/cgroup": "memory.max"} {
		dir = filepath.Join(dir, name)
		if os.Mkdir(dir, 0o777) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // a group that is left behind is empty
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			continue // a folder beside the groups
		}
		if os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, limit), 0o666) != nil {
			continue
		}
		return func(args ...string) *exec.Cmd {
			c := process(args...)
			c.Args = append([]string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, dir}, c.Args...)
			c.Path = "/bin/sh"
			return c
		}
	}
	t.Skip("no control group can be made here")
	return nil
}

// A run that a container's limit would kill is refused with the plan's words before it has
// read its rows.
func TestTrainInASmallGroup(t *testing.T) {
	command := inGroup(t, 80<<20)
	dir := t.TempDir()
	good(t, dir)
	data := filepath.Join(dir, "rows.jsonl")
	write := func(rows int) {
		t.Helper()
		var b strings.Builder
		for i := range rows {
			fmt.Fprintf(&b, `{"prompt":"what is it","completion":"%d letters, and then another one, and so on to the end of it"}`+"\n", i)
		}
		if err := os.WriteFile(data, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(400_000)
	args := []string{"train", "--device", "cpu", "--model", filepath.Join(dir, "model"), "--data", data,
		"--max-tokens", "32", "--steps", "2", "--out", filepath.Join(dir, "run")}
	text, err := command(args...).CombinedOutput()
	if code := exitCode(err); code != 1 {
		t.Errorf("exit code %d: %v\n%s", code, err, text)
	}
	for _, want := range []string{"agora: the run needs ", " is available", "the control group /sys/fs/cgroup/",
		"of 80.0 MiB) for the process with its program and data; with other settings:"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	// What fits is trained there.
	write(200)
	if text, err := command(args...).CombinedOutput(); err != nil {
		t.Errorf("a small run in the same group: %v\n%s", err, text)
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}

// A model of three times the group's memory trains there from its file, to the bits of a run that has it in memory.
func TestOffloadInASmallGroup(t *testing.T) {
	shape := tinymodel.Config()
	shape.Hidden, shape.Intermediate, shape.Heads, shape.KVHeads, shape.HeadDim, shape.Layers = 512, 1536, 8, 8, 64, 31
	model := tinymodel.WriteLike(t, shape)
	file, err := os.Stat(filepath.Join(model, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	const limit = 128 << 20
	if file.Size() < 3*limit {
		t.Fatalf("a model of %d bytes", file.Size())
	}
	settings := append(hardRun(t), "--device", "cpu", "--threads", "2", "--steps", "2", "--eval-every", "0", "--save-every", "0",
		"--batch-rows", "1", "--accumulate", "1", "--modules", "1", "--rank", "2", "--gradient-checkpointing", "--model", model)
	if testing.Short() {
		t.Skip("a model of 400 MB")
	}
	whole, streamed := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	command := inGroup(t, limit)
	if text, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if text, err := command(append(settings, "--out", streamed)...).CombinedOutput(); exitCode(err) != 1 {
		t.Errorf("in memory: %v\n%s", err, text)
	}
	settings = append(settings, "--offload", "weights", "--out", streamed)
	if text, err := command(settings...).CombinedOutput(); err != nil {
		t.Fatalf("from the file: %v\n%s", err, text)
	}
	a, b := runFiles(t, whole), runFiles(t, streamed)
	if a[multilora.TensorFile] != b[multilora.TensorFile] || a[multilora.TensorFile] == "" {
		t.Error("another adapter than in memory")
	}
}
