package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/leftovers"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// A test binary with the first variable is the program itself: runs are killed as processes.
// With the second one, a file of metrics and what they say of a step in two lines, it goes no
// further than to that step, and waits there for a signal.
const (
	asProgram = "AGORA_TEST_AS_PROGRAM"
	holdAt    = "AGORA_TEST_HOLD_AT"
	readyAt   = "AGORA_TEST_READY_AT" // a file that is there once signals are caught
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		if signal.Ignored(syscall.SIGHUP) { // as nohup has it: the programs that tests start would ignore it, too
			signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		}
		os.Exit(m.Run())
	}
	signalled := interruptible()
	if path := os.Getenv(readyAt); path != "" {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			panic(err)
		}
	}
	ctx := signalled
	if metrics, text, ok := strings.Cut(os.Getenv(holdAt), "\n"); ok {
		ctx = watched{ctx, metrics, text, func() { <-signalled.Done() }}
	}
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	leftovers.RemoveAll()
	if path := os.Getenv(peakFile); path != "" {
		writePeak(path)
	}
	abortWorld(code)
	os.Exit(code)
}

// peakFile is where a process of the program writes the most memory it has had, in KiB, as
// Linux tells it: what it tells of a child counts the parent's, too.
const peakFile = "AGORA_TEST_PEAK"

// writePeak does so.
func writePeak(path string) {
	status, _ := os.ReadFile("/proc/self/status") // elsewhere there is none
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			_ = os.WriteFile(path, []byte(words[1]), 0o666) // the test finds it missing
		}
	}
}

// watched is the context of a run, which asks for its error before each step: once the
// metrics have the text, reached is called there.
type watched struct {
	context.Context
	metrics, text string
	reached       func()
}

func (c watched) Err() error {
	if hasRecord(c.metrics, c.text) {
		c.reached()
	}
	return c.Context.Err()
}

// recorded is what the metrics say of a step and of no other.
func recorded(step int) string { return fmt.Sprintf(`"step":%d,`, step) }

func hasRecord(metrics, text string) bool {
	all, _ := os.ReadFile(metrics)
	return strings.Contains(string(all), text)
}

// patience is how long a test waits for another process: only one that never comes lasts longer.
const patience = 5 * time.Minute

// process is the program with these arguments as a process of its own.
func process(args ...string) *exec.Cmd {
	c := testdevice.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

// hardRun are the settings of a run in which everything that a resumed run must find again
// plays a part: dropout, two micro-batches a step, shuffled and packed rows over the ends of
// epochs, several loaders, a schedule, measurements.
func hardRun(t *testing.T) (settings []string) {
	t.Helper()
	var rows strings.Builder
	for i := range 60 {
		fmt.Fprintf(&rows, `{"prompt": "%d:", "completion": "%s"}`+"\n", i,
			strings.Repeat(string(rune('a'+i%26)), 1+i%17))
	}
	data := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(data, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return []string{"train", "--model", tinymodel.Write(t), "--data", data, "--max-tokens", "48", "--pack",
		"--batch-rows", "2",
		"--accumulate", "2", "--dropout", "0.05", "--loaders", "4", "--held-out", "8", "--eval-every", "7", "--lr",
		"1e-2",
		"--steps", "40", "--save-every", "5", "--rank", "4"}
}

// A run that is stopped by Ctrl-C and by kill -9, and goes on in new processes, ends with
// the files of a run that was never stopped.
func TestResumeIsBitForBit(t *testing.T) {
	for name, method := range map[string][]string{
		"multilora": {"--method", "multilora"},
		"dora":      {"--method", "dora"},
		"tokens":    {"--train-tokens", "40-60,lm_head:57"},
		"bias":      {"--method", "lora", "--lora-bias"},
		"ends":      {"--method", "multilora", "--targets", "v_proj,lm_head,embed_tokens"},
		"full bf16": {"--method", "full", "--dropout", "0", "--dtype", "bf16"},
		"f16":       {"--dtype", "f16", "--loss-scale", "4294967296"}, // its first steps are skipped
		"q8 bf16":   {"--dtype", "q8", "--compute-dtype", "bf16"},
		"q4 f16":    {"--dtype", "q4", "--compute-dtype", "f16", "--loss-scale", "4294967296"},
		"full f16":  {"--method", "full", "--dropout", "0", "--dtype", "f16", "--loss-scale", "4294967296"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := append(append(hardRun(t), method...), "--device", testdevice.Name())
			whole, parts := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
			if out, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			stop(t, process(append(settings, "--out", parts)...), parts, 11, os.Interrupt, exitInterrupted)
			if steps := checkpointSteps(t, parts); len(steps) == 0 || steps[len(steps)-1] != 11 {
				t.Errorf("after Ctrl-C in step 11 there are the checkpoints %v", steps)
			}
			resume := []string{"train", "--out", parts, "--resume", "--device", testdevice.Name()}
			if runtime.GOOS != "windows" {
				stop(t, process(resume...), parts, 23, syscall.SIGKILL, -1)
			}
			if out, err := process(resume...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sameRuns(t, whole, parts)
			skipped := 0
			for _, r := range records(t, parts) {
				if r.Skipped {
					skipped++
				}
			}
			if f16 := slices.Contains(method, "f16"); f16 != (skipped > 11) || skipped > 25 { // beyond the interruption
				t.Errorf("%d steps were skipped", skipped)
			}
		})
	}
}

// stop starts a run and sends it a signal once it has recorded a step; want is its exit code.
// The run goes no further, however late the signal comes.
func stop(t *testing.T, c *exec.Cmd, out string, step int, signal os.Signal, want int) {
	t.Helper()
	c.Env = append(c.Env, holdAt+"="+filepath.Join(out, train.MetricsFile)+"\n"+recorded(step))
	stopFree(t, c, out, step, signal, want)
}

// stopFree is stop of a run that goes on until the signal comes.
func stopFree(t *testing.T, c *exec.Cmd, out string, step int, signal os.Signal, want int) {
	t.Helper()
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); !hasRecord(filepath.Join(out, train.MetricsFile),
		recorded(step)); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			_ = c.Process.Kill()
			_ = c.Wait()
			t.Fatalf("no step %d after %s:\n%s", step, patience, said.String())
		}
	}
	if err := c.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the exit code says it
	if code := c.ProcessState.ExitCode(); code != want {
		t.Fatalf("after %v: exit code %d, want %d\n%s", signal, code, want, said.String())
	}
}

func checkpointSteps(t *testing.T, run string) (steps []int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(run, train.CheckpointsFolder))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var step int
		if n, _ := fmt.Sscanf(e.Name(), "step-%d", &step); n == 1 {
			steps = append(steps, step)
		}
	}
	return steps
}

// sameRuns compares all files of two runs' folders, but for their paths and the clock.
func sameRuns(t *testing.T, a, b string) {
	t.Helper()
	want, got := runFiles(t, a), runFiles(t, b)
	for name, content := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if got[name] != content {
			t.Errorf("%s differs", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is too many", name)
		}
	}
	for _, name := range []string{"checkpoints/step-000040/optimizer.safetensors",
		"checkpoints/step-000040/state.json", train.ConfigFile} {
		if want[name] == "" {
			t.Errorf("the run has no %s: nothing was compared", name)
		}
	}
	if x, y := records(t, a), records(t, b); !reflect.DeepEqual(x, y) {
		t.Errorf("the metrics differ:\n%+v\n%+v", x, y)
	}
}

func runFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if name == train.MetricsFile || name == train.SummaryFile ||
			strings.HasPrefix(name, train.TensorBoardFolder+"/") {
			return nil // these hold times
		}
		text, err := os.ReadFile(path)
		files[name] = strings.ReplaceAll(string(text), dir, "OUT")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// records are the metrics of a run without what the clock has measured.
func records(t *testing.T, dir string) []train.Record {
	t.Helper()
	all, err := train.ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Seconds, all[i].Time, all[i].TokensPerSec, all[i].PeakBytes, all[i].Processes = 0, 0, 0, 0, nil
	}
	return all
}

// A run that is killed at random moments, a hundred times, never leaves a folder that does
// not load. (TestResumeIsBitForBit kills at a known one.)
func TestKilledWhileSaving(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGKILL")
	}
	kills := 100
	if testing.Short() {
		kills = 10
	}
	// Saving after each step and little else: most kills hit a save.
	settings := append(hardRun(t), "--steps", "100000", "--save-every", "1", "--keep", "1", "--accumulate", "1",
		"--eval-every", "0", "--held-out", "0")
	out := filepath.Join(t.TempDir(), "run")
	args := append(settings, "--out", out)
	reached := 0
	for kill := range kills {
		c := process(args...)
		var said bytes.Buffer
		c.Stderr = &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		want := reached + 1 // on the way at least once
		for end := time.Now().Add(patience); newest(out) < want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				_ = c.Process.Kill()
				_ = c.Wait()
				t.Fatalf("kill %d: no checkpoint of step %d:\n%s", kill, want, said.String())
			}
		}
		time.Sleep(time.Duration(kill*37%1000) * 10 * time.Microsecond) // somewhere within the next saves
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if reached = newest(out); reached < want {
			t.Fatalf("kill %d: the checkpoint of step %d is gone, the newest is %d", kill, want, reached)
		}
		args = []string{"train", "--out", out, "--resume"}
	}
	// What the last kill has left goes on as well, and Ctrl-C ends it.
	stopFree(t, process(args...), out, reached+3, os.Interrupt, exitInterrupted)
}

// newest is the step of the newest checkpoint, 0 without one.
func newest(out string) (step int) {
	entries, _ := os.ReadDir(filepath.Join(out, train.CheckpointsFolder))
	for _, e := range entries {
		var n int
		if k, _ := fmt.Sscanf(e.Name(), "step-%d", &n); k == 1 {
			step = max(step, n)
		}
	}
	return step
}

// stepName is the folder of a checkpoint.
func stepName(step int) string { return fmt.Sprintf("step-%06d", step) }

// A disk that is full while a checkpoint is written: the error says so, and the earlier
// checkpoint goes on. A limit on a file's size stands for the disk.
func TestFullDisk(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("no bash to set a limit with")
	}
	settings := append(hardRun(t), "--steps", "20", "--save-every", "5", "--out")
	out := filepath.Join(t.TempDir(), "run")
	stop(t, process(append(settings, out)...), out, 8, os.Interrupt, exitInterrupted) // after the measurement of step 7
	before := newest(out)
	limited := exec.Command("bash", append([]string{"-c", `trap "" XFSZ; ulimit -f 16; exec "$0" "$@"`, os.Args[0]},
		"train", "--out", out, "--resume")...)
	limited.Env = append(os.Environ(), asProgram+"=1")
	text, err := limited.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "file too large") ||
		!strings.Contains(string(text), "checkpoint of step 10") ||
		strings.Contains(string(text), "goroutine") {
		t.Fatalf("with a full disk: %v\n%s", err, text)
	}
	if after := newest(out); after != before {
		t.Errorf("the newest checkpoint is of step %d, want %d", after, before)
	}
	if left, _ := filepath.Glob(filepath.Join(out, train.CheckpointsFolder, ".*")); len(left) != 0 {
		t.Errorf("half a checkpoint is left: %v", left)
	}
	whole := filepath.Join(t.TempDir(), "run")
	for _, args := range [][]string{{"train", "--out", out, "--resume"}, append(settings, whole)} {
		if text, err := process(args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, text)
		}
	}
	a, b := runFiles(t, whole), runFiles(t, out)
	if a["adapter.safetensors"] == "" || a["adapter.safetensors"] != b["adapter.safetensors"] {
		t.Error("the run that met a full disk ends with another adapter")
	}
}

func TestResumeRefuses(t *testing.T) {
	settings := append(hardRun(t), "--steps", "4")
	out := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := agora(t, append(settings, "--out", out)...); code != 0 {
		t.Fatal(stderr)
	}
	refused := func(want string, args ...string) {
		t.Helper()
		code, _, stderr := agora(t, args...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("agora %v: exit code %d, want 1 and %q in\n%s", args, code, want, stderr)
		}
	}
	refused("is complete after 4 steps", "train", "--out", out, "--resume")
	refused(`--steps: want "4"`, "train", "--out", out, "--resume", "--steps", "5")
	refused(`--warmup-steps: want "2"`, "train", "--out", out, "--resume", "--warmup-steps", "0")
	refused("want --out to be the folder of a run", "train", "--out", t.TempDir(), "--resume")
	refused("want the run's folder in --out, got none", "train", "--resume")
	refused("without an earlier run (or --resume", append(settings, "--out", out)...)

	// Interrupted, and then something is not what it was.
	out = filepath.Join(t.TempDir(), "run")
	stop(t, process(append(settings, "--steps", "1000", "--out", out)...), out, 6, os.Interrupt, exitInterrupted)
	last := filepath.Join(out, train.CheckpointsFolder, stepName(newest(out)))
	for _, c := range []struct {
		file string
		to   func([]byte) []byte
		want string
	}{
		{"state.json", func(b []byte) []byte { return b[:10] }, "state.json: want a checkpoint's state"},
		{"state.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"version": 2`), []byte(`"version": 9`), 1)
		}, "field version: want at most 2, got 9"},
		{"state.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"data": "`), []byte(`"data": "0`), 1)
		}, "state.json is not as it was written: want the SHA-256 "},
		{"optimizer.safetensors", func(b []byte) []byte { return b[:len(b)-4] }, "optimizer.safetensors"},
		{"adapter.safetensors", func(b []byte) []byte { return b[:len(b)-4] }, "adapter.safetensors"},
	} {
		path := filepath.Join(last, c.file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c.to(slices.Clone(good)), 0o666); err != nil {
			t.Fatal(err)
		}
		refused(c.want, "train", "--out", out, "--resume")
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var s train.Summary
	if text, err := os.ReadFile(filepath.Join(out, train.SummaryFile)); err != nil ||
		json.Unmarshal(text, &s) != nil || !s.Interrupted {
		t.Errorf("the interrupted run's summary: %+v, %v", s, err)
	}
}
