//go:build mpi && cgo

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// mpirun is the program as so many processes that MPI joins.
func mpirun(t *testing.T, n int, args ...string) *exec.Cmd {
	t.Helper()
	one := process(args...)
	ctx, cancel := context.WithTimeout(t.Context(), patience) // mpirun may lock itself up when it ends processes
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, "mpirun", append([]string{"--allow-run-as-root", "--oversubscribe", "--bind-to",
		"none", "-np", strconv.Itoa(n)}, one.Args...)...)
	c.Env = append(one.Env, "OMPI_MCA_odls_base_sigkill_timeout=5", "OMPI_MCA_btl_vader_single_copy_mechanism=none")
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = time.Minute
	return c
}

func withMPI(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("mpirun"); err != nil {
		if os.Getenv("AGORA_REQUIRE_MPI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// A run of 2 and 4 processes has the files of one alone, also where a process is killed in the middle and another
// number of them goes on.
func TestProcessesAreBitForBit(t *testing.T) {
	withMPI(t)
	settings := append(hardRun(t), "--device", "cpu", "--accumulate", "4")
	whole := filepath.Join(t.TempDir(), "run")
	if text, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, n := range []int{2, 4} {
		out := runTogether(t, n, settings...)
		sameRuns(t, whole, out)
		all, err := train.ReadMetrics(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if p := r.Processes; r.Kind == train.KindStep && (p == nil || p.Count != n || p.Sent <= 0) {
				t.Fatalf("step %d: %+v, want %d processes", r.Step, p, n)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "run")
	killOne(t, 4, append(settings, "--out", out), out)
	if text, err := mpirun(t, 2, "train", "--resume", "--out", out, "--device", "cpu").CombinedOutput(); err != nil {
		t.Fatalf("resumed: %v\n%s", err, text)
	}
	sameRuns(t, whole, out)
}

// Processes that divide the weights have the files of one that holds them all, for weights of every form, also where
// one is killed in the middle and another number of them goes on.
func TestShardedProcessesAreBitForBit(t *testing.T) {
	withMPI(t)
	shape := tinymodel.Config()
	shape.Layers = 5 // of which two are at hand
	settings := hardRun(t)
	settings[slices.Index(settings, "--model")+1] = tinymodel.WriteLike(t, shape)
	settings = append(settings, "--device", "cpu", "--accumulate", "4", "--shard", "weights")
	for n, own := range map[int][]string{
		2: {"--dtype", "bf16", "--gradient-checkpointing"},
		4: {"--dtype", "q4", "--compute-dtype", "bf16"},
		1: {"--dtype", "f32"},
	} {
		all := append(slices.Clone(settings), own...)
		whole := filepath.Join(t.TempDir(), "run")
		if text, err := process(append(all, "--out", whole)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if n > 1 {
			sameRuns(t, whole, runTogether(t, n, all...))
			continue
		}
		out := filepath.Join(t.TempDir(), "run")
		killOne(t, 4, append(all, "--out", out), out)
		if text, err := mpirun(t, 2, "train", "--resume", "--out", out, "--device", "cpu").CombinedOutput(); err != nil {
			t.Fatalf("resumed: %v\n%s", err, text)
		}
		sameRuns(t, whole, out)
	}
}

// Where everything trains the number of processes is a part of the bits, and a run keeps it.
func TestProcessesOfFullTuning(t *testing.T) {
	withMPI(t)
	settings := append(hardRun(t), "--device", "cpu", "--accumulate", "4", "--method", "full", "--dropout", "0", "--dtype",
		"bf16")
	whole := runTogether(t, 2, settings...)
	out := filepath.Join(t.TempDir(), "run")
	killOne(t, 2, append(settings, "--out", out), out)
	resume := []string{"train", "--resume", "--out", out, "--device", "cpu"}
	text, err := process(resume...).CombinedOutput()
	if want := "device processes: want 2, with which the run began, got none"; err == nil ||
		!strings.Contains(string(text), want) {
		t.Errorf("resumed by one: %v, want %q:\n%s", err, want, text)
	}
	if text, err := mpirun(t, 2, resume...).CombinedOutput(); err != nil {
		t.Fatalf("resumed: %v\n%s", err, text)
	}
	sameRuns(t, whole, out)
}

// Processes that divide the optimizer of a model that trains have the files of one that has it all, also where one is
// killed in the middle and another number of them goes on.
func TestDividedProcessesAreBitForBit(t *testing.T) {
	withMPI(t)
	shape := tinymodel.Config()
	shape.Hidden, shape.Intermediate, shape.HeadDim = 128, 384, 32 // seven parts
	settings := hardRun(t)
	settings[slices.Index(settings, "--model")+1] = tinymodel.WriteLike(t, shape)
	settings = append(settings, "--device", "cpu", "--accumulate", "4", "--method", "full", "--dropout", "0", "--dtype",
		"bf16", "--shard", "optimizer", "--lr", "1e-3")
	whole := filepath.Join(t.TempDir(), "run")
	if text, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	sameRuns(t, whole, runTogether(t, 2, settings...))
	out := filepath.Join(t.TempDir(), "run")
	killOne(t, 4, append(settings, "--out", out), out)
	if text, err := mpirun(t, 2, "train", "--resume", "--out", out, "--device", "cpu").CombinedOutput(); err != nil {
		t.Fatalf("resumed: %v\n%s", err, text)
	}
	sameRuns(t, whole, out)
}

// runTogether makes a run by so many processes and gives its folder.
func runTogether(t *testing.T, n int, settings ...string) (out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "run")
	if text, err := mpirun(t, n, append(settings, "--out", out)...).CombinedOutput(); err != nil {
		t.Fatalf("%d processes: %v\n%s", n, err, text)
	}
	return out
}

// killOne begins a run of so many processes, and kills the last one once there is a checkpoint.
func killOne(t *testing.T, n int, args []string, out string) {
	t.Helper()
	ids := t.TempDir()
	c := mpirun(t, n, args...)
	// A shell between mpirun and the program says which process it is to be.
	at := len(c.Args) - len(args) - 1
	c.Args = append(append(append([]string{}, c.Args[:at]...), "sh", "-c",
		`echo $$ >"$0/$OMPI_COMM_WORLD_RANK"; exec "$@"`, ids), c.Args[at:]...)
	c.Env = append(c.Env, holdAt+"="+filepath.Join(out, train.MetricsFile)+"\n"+recorded(17))
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); newest(out) < 15; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			_ = c.Cancel()
			_ = c.Wait()
			t.Fatalf("no checkpoint:\n%s", said.String())
		}
	}
	text, err := os.ReadFile(filepath.Join(ids, strconv.Itoa(n-1)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Fatalf("the run went on without a process:\n%s", said.String())
	}
}

func TestProcessesThatCannot(t *testing.T) {
	withMPI(t)
	settings := append(hardRun(t), "--device", "cpu", "--accumulate", "4", "--out", filepath.Join(t.TempDir(), "run"))
	for want, c := range map[string]*exec.Cmd{
		"process 1: --accumulate: want a multiple of the 3 processes, got 4, which fits [1 2 4] processes": mpirun(t, 3,
			settings...),
		"agora: want one process, got 2, started by Open MPI's mpirun: only agora train and agora bench network": mpirun(t, 2, "version"),
	} {
		if text, err := c.CombinedOutput(); err == nil || !strings.Contains(string(text), want) {
			t.Errorf("%v, want %q:\n%s", err, want, text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := settings[len(settings)-1]
	c := mpirun(t, 2, append(settings, "--steps", "100000")...)
	c = commandIn(ctx, c)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); newest(out) < 5 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	cancel() // SIGTERM to mpirun, which hands it on
	_ = c.Wait()
	if want := fmt.Sprintf("interrupted after step %d;", newest(out)); !strings.Contains(said.String(), want) {
		t.Errorf("ended by SIGTERM, with the checkpoint of step %d:\n%s", newest(out), said.String())
	}
}

// commandIn is c, sent SIGTERM when ctx ends.
func commandIn(ctx context.Context, c *exec.Cmd) *exec.Cmd {
	other := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	other.Env, other.WaitDelay = c.Env, c.WaitDelay
	other.Cancel = func() error { return other.Process.Signal(syscall.SIGTERM) }
	return other
}

func TestProcessesMeasureTheNetwork(t *testing.T) {
	withMPI(t)
	c := mpirun(t, 2, "bench", "network", "--size", "1M", "--rounds", "2", "--json")
	text, err := c.Output()
	var n bench.Network
	if err := cmp.Or(err, json.Unmarshal(text, &n)); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if n.Processes != 2 || n.Share <= 0 || n.Exchange <= 0 || n.Barrier <= 0 {
		t.Errorf("measured %+v", n)
	}
}
