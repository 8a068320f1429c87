package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"syscall"
	"testing"

	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/train"
)

// A run goes on at other rates, once for all: later resumes have them without a flag, also
// after a kill before the next checkpoint, and end with the bits of one resume. Metrics and
// checkpoints tell of the change where it was made.
func TestResumeAtAnotherRate(t *testing.T) {
	settings := append(hardRun(t), "--schedule", "constant", "--warmup-steps", "2", "--device", testdevice.Name())
	out := filepath.Join(t.TempDir(), "run")
	stop(t, process(append(settings, "--out", out)...), out, 11, os.Interrupt, exitInterrupted)
	at, twice := newest(out), filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(twice, os.DirFS(out)); err != nil {
		t.Fatal(err)
	}
	resume := func(out string, more ...string) []string {
		return append([]string{"train", "--out", out, "--resume", "--device", testdevice.Name()}, more...)
	}
	if text, err := process(resume(out, "--lr", "3e-3", "--scale-lr", "2")...).CombinedOutput(); err != nil ||
		!bytes.Contains(text, []byte("lr was 0.01 and is 0.003 from now on")) ||
		!bytes.Contains(text, []byte("scale-lr was 1 and is 2 from now on")) {
		t.Fatalf("%v\n%s", err, text)
	}
	if runtime.GOOS != "windows" {
		stop(t, process(resume(twice, "--lr", "3e-3", "--scale-lr", "2", "--save-every", "1000")...), twice, at+2,
			syscall.SIGKILL, -1)
		if newest(twice) != at {
			t.Fatalf("there is a checkpoint of step %d", newest(twice))
		}
		stop(t, process(resume(twice, "--save-every", "5")...), twice, at+3, os.Interrupt, exitInterrupted)
	}
	if text, err := process(resume(twice, "--lr", "3e-3", "--scale-lr", "2")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	sameRuns(t, out, twice)

	want := []train.RateChange{{Step: at, Setting: "lr", From: 0.01, To: 0.003},
		{Step: at, Setting: "scale-lr", From: 1, To: 2}}
	told := 0
	for _, r := range records(t, out) {
		switch {
		case r.Changed != nil:
			if told++; r.Step != at || !reflect.DeepEqual(r.Changed, want) {
				t.Errorf("the metrics say %+v, want %v", r, want)
			}
		case r.Loss != nil && r.Step <= at && r.Step > 3 && r.LR != 0.01, r.Loss != nil && r.Step > at && r.LR != 0.003:
			t.Errorf("step %d has the rate %v", r.Step, r.LR)
		}
	}
	if told != 1 {
		t.Errorf("%d records of changes", told)
	}
	state := readState(t, out)
	if !reflect.DeepEqual(state.Changes, want) || state.Rates["lr"] != 0.003 || state.Rates["scale-lr"] != 2 {
		t.Errorf("the last checkpoint says %+v, want the changes %v", state, want)
	}
	// It also is a run with plots.
	if code, stdout, stderr := agora(t, "plot", out); code != 0 || stdout == "" {
		t.Errorf("plot: exit code %d, %s", code, stderr)
	}
}

// A checkpoint of an earlier version does not tell its rates; config.yaml does.
func TestResumeAtAnotherRateFromAnOldCheckpoint(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	stop(t, process(append(hardRun(t), "--out", out)...), out, 6, os.Interrupt, exitInterrupted)
	at := newest(out)
	editState(t, out, func(state map[string]any) {
		older(state)
		delete(state, "rates")
	})
	mustJSON[train.Summary](t, "train", "--out", out, "--resume", "--lr", "1e-3")
	want := []train.RateChange{{Step: at, Setting: "lr", From: 0.01, To: 0.001}}
	if state := readState(t, out); !reflect.DeepEqual(state.Changes, want) {
		t.Errorf("the last checkpoint says %+v, want %v", state, want)
	}
}
