package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/train"
)

// long says that tests may take minutes: AGORA_LONG=1, make kill-test.
func long() bool { return os.Getenv("AGORA_LONG") == "1" }

// savingCalls are the system calls that a run makes to save, to go on, and to have its
// folder for itself.
var savingCalls = []string{
	"openat", "mkdirat", "newfstatat", "fstat", "read", "write", "pwrite64", "ftruncate", "fchmod", "fsync", "close",
	"getdents64",
	"renameat", "unlinkat", "flock",
}

// A run that is killed as it enters each kind of system call, in its first part and in one that is
// resumed, goes on to the files of a run that was never killed. The kernel is asked for it, by strace.
func TestKilledAtEverySystemCall(t *testing.T) {
	if err := exec.Command("strace", "-f", "-o", os.DevNull, "true").Run(); err != nil {
		if os.Getenv("AGORA_REQUIRE_STRACE") == "1" {
			t.Fatal(err)
		}
		t.Skipf("strace: %v", err)
	}
	settings := append(hardRun(t), "--steps", "6", "--save-every", "1", "--keep", "1", "--eval-every", "4",
		"--accumulate", "1", "--device", testdevice.Name())
	whole, begun := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if out, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stop(t, process(append(settings, "--out", begun)...), begun, 3, os.Interrupt, exitInterrupted)
	parts := []struct {
		name string
		from string // a folder to begin with
		args []string
	}{{"first part", "", settings}, {"resumed", begun, []string{"train", "--resume", "--device", testdevice.Name()}}}

	picks := 1
	if long() {
		picks = 12
	}
	kills := map[string]int{}
	for _, part := range parts {
		counts := callsOf(t, part.from, part.args)
		for _, call := range savingCalls {
			for i := range picks {
				// Which thread makes a call is another each time: one that has made fewer will have made half.
				for n := (1 + counts[call]*(2*i+1)) / (2 * picks); n > 0; n /= 2 {
					out := filepath.Join(t.TempDir(), "run")
					if part.from != "" {
						copyRun(t, part.from, out)
					}
					text, err := traced(append(part.args, "--out", out), "-e", "trace="+call, "-e",
						fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)).CombinedOutput()
					if !complete(out) {
						goOn(t, settings, out)
					}
					if files, different, compareErr := train.Compare(whole, out); compareErr != nil ||
						len(different) > 0 || files < 10 {
						t.Errorf("%s, killed at %s number %d: %d files, %v, %v\n%s", part.name, call, n, files,
							different, compareErr, text)
					}
					if err := os.RemoveAll(filepath.Dir(out)); err != nil {
						t.Fatal(err)
					}
					if err != nil {
						kills[call]++
						break
					}
				}
			}
		}
	}
	total := 0
	for _, call := range savingCalls {
		total += kills[call]
		if kills[call] == 0 {
			t.Errorf("no kill at %s", call)
		}
	}
	t.Logf("%d kills: %v", total, kills)
}

// traced is the program under strace, on one thread where that can be.
func traced(args []string, options ...string) *exec.Cmd {
	inner := process(args...)
	c := exec.Command("strace", append(append([]string{"-f", "-o", os.DevNull}, options...), inner.Args...)...)
	c.Env = append(inner.Env, "GOMAXPROCS=1")
	return c
}

// callsOf counts the system calls of a part of a run, on the thread that makes most of them.
func callsOf(t *testing.T, from string, args []string) map[string]int {
	t.Helper()
	out := filepath.Join(t.TempDir(), "run")
	if from != "" {
		copyRun(t, from, out)
	}
	log := filepath.Join(t.TempDir(), "log")
	c := traced(append(args, "--out", out), "-e", "trace="+strings.Join(savingCalls, ","), "-o", log)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	counts, most := map[string]map[string]int{}, map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		thread, rest, _ := strings.Cut(lines.Text(), " ")
		call, _, ok := strings.Cut(strings.TrimSpace(rest), "(")
		if !ok {
			continue
		}
		if counts[call] == nil {
			counts[call] = map[string]int{}
		}
		counts[call][thread]++
		most[call] = max(most[call], counts[call][thread])
	}
	return most
}

func copyRun(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// goOn brings a run that was killed to its end.
func goOn(t *testing.T, settings []string, out string) {
	t.Helper()
	args := []string{"train", "--out", out, "--resume", "--device", testdevice.Name()}
	if _, err := os.Stat(filepath.Join(out, train.ConfigFile)); err != nil {
		args = append(settings, "--out", out)
	}
	if text, err := process(args...).CombinedOutput(); err != nil {
		t.Errorf("agora %v: %v\n%s", args, err, text)
	}
}

// Two hundred times a run is killed or interrupted at random moments, and has the files of one
// that was not.
func TestCutTwoHundredTimes(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: AGORA_LONG=1; TestVerifyResume is short")
	}
	t.Setenv(asProgram, "1")
	run := filepath.Join(t.TempDir(), "run")
	mustJSON[train.Summary](t, append(hardRun(t), "--steps", "1", "--device", testdevice.Name(), "--out", run)...)
	cfg := train.Defaults()
	if err := cfg.Read(filepath.Join(run, train.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	cfg.Steps, cfg.EvalEvery = 120, 7
	settings := filepath.Join(t.TempDir(), "run.yaml")
	if err := cfg.Write(settings); err != nil {
		t.Fatal(err)
	}
	how, total := map[string]int{}, 0
	for total < 200 { // a run ends before it is cut as often as that
		v := mustJSON[verification](t, "verify-resume", settings, "--steps", "120", "--cuts", strconv.Itoa(200-total),
			"--save-every", "1", "--device", testdevice.Name())
		for _, c := range v.Cuts {
			how[c.How]++
		}
		total += len(v.Cuts)
		if !v.Same || v.Files < 14 || len(v.Cuts) == 0 {
			t.Fatalf("got %+v", v)
		}
		t.Logf("seed %d on %v: %d cuts, %d files", v.Seed, v.Device, len(v.Cuts), v.Files)
	}
	t.Logf("%d cuts: %v", total, how)
}

// A run of 1500 steps needs no more memory at its end than after its first hundreds.
func TestMemoryOfManySteps(t *testing.T) {
	if !long() {
		t.Skip("takes a minute: AGORA_LONG=1")
	}
	out := filepath.Join(t.TempDir(), "run")
	c := process(append(hardRun(t), "--steps", "1500", "--save-every", "100", "--eval-every", "100", "--out", out,
		"--device", testdevice.Name())...)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var steps, kibs []int
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			first, last := 0, 0
			for i, step := range steps {
				if step >= 300 && first == 0 {
					first = kibs[i]
				}
				last = kibs[i]
			}
			t.Logf("VmRSS in KiB at the steps %v: %v", steps, kibs)
			if first == 0 || last > first+first/20 {
				t.Errorf("%d KiB after 300 steps, %d KiB at the end", first, last)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		step := lastStep(out)
		if step == 0 || len(steps) > 0 && step < steps[len(steps)-1]+150 {
			continue
		}
		if kib := residentKiB(c.Process.Pid); kib > 0 {
			steps, kibs = append(steps, step), append(kibs, kib)
		}
	}
}

func residentKiB(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(value)[0])
			return kib
		}
	}
	return 0
}
