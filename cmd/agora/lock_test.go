package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/folderlock"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// While a run goes on, no other process may write into its folder, and is told who does. A
// run that was killed keeps nobody out, though its lock's file is left.
func TestOneRunAFolder(t *testing.T) {
	settings := append(hardRun(t), "--steps", "100000", "--save-every", "1", "--keep", "1", "--eval-every", "0",
		"--held-out", "0")
	out := filepath.Join(t.TempDir(), "run")
	c := process(append(settings, "--out", out)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer func() { _ = c.Process.Kill() }()
	for end := time.Now().Add(patience); newest(out) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no checkpoint of step 3 after ", patience)
		}
	}
	text, err := os.ReadFile(filepath.Join(out, folderlock.File))
	var pid int
	if _, scanErr := fmt.Sscan(string(text), &pid); err != nil || scanErr != nil {
		t.Fatalf("the lock's file says %q, %v", text, err)
	}
	for _, args := range [][]string{append(settings, "--out", out), {"train", "--out", out, "--resume"}} {
		code, _, stderr := agora(t, args...)
		if want := fmt.Sprintf("agora: --out: want a folder that no other run writes to, got %s, where process %d is training", out, pid); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("agora %v: exit code %d, want 1 and %q in\n%s", args, code, want, stderr)
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if _, err := os.Stat(filepath.Join(out, folderlock.File)); err != nil {
		t.Fatalf("a killed run leaves its lock's file: %v", err)
	}
	at := newest(out)
	stop(t, process("train", "--out", out, "--resume"), out, at+2, os.Interrupt, exitInterrupted)
	if _, err := os.Stat(filepath.Join(out, folderlock.File)); runtime.GOOS != "windows" && !os.IsNotExist(err) {
		t.Errorf("a run that has ended leaves its lock's file: %v", err)
	}
}

// A run that is killed before it has written anything does not keep a new one from its folder.
func TestNewRunBesideAStaleLock(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, folderlock.File), []byte("1 elsewhere\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	mustJSON[train.Summary](t, append(hardRun(t), "--steps", "1", "--out", out)...)
}

// Nor does it keep out a command that makes a new folder; a lock that is held does, and so
// does anything else in the folder.
func TestNewFolderBesideAStaleLock(t *testing.T) {
	model := tinymodel.Write(t)
	adapter := filepath.Join(t.TempDir(), "adapter")
	mustJSON[train.Summary](t, "train", "--model", model, "--data", someRows(t), "--loss", "all", "--max-tokens",
		"64", "--held-out", "0", "--steps", "1", "--out", adapter)
	for _, args := range [][]string{
		{"merge", "--model", model, "--adapter", adapter},
		{"export", "--model", model, "--adapter", adapter, "--to", "peft"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		if err := os.Mkdir(out, 0o777); err != nil {
			t.Fatal(err)
		}
		refused := func(want string) {
			t.Helper()
			if code, _, stderr := agora(t, append(args, "--out", out)...); code != 1 ||
				!strings.Contains(stderr, want) {
				t.Errorf("%s: exit code %d, want 1 and %q in\n%s", args[0], code, want, stderr)
			}
		}
		l, err := folderlock.Take(out)
		if err != nil {
			t.Fatal(err)
		}
		refused(fmt.Sprintf("want a folder that no run writes to, got one where process %d is training", os.Getpid()))
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		write(folderlock.File, "1 elsewhere\n")
		write("notes", "")
		refused("want a new or empty folder, got one that holds")
		if err := os.Remove(filepath.Join(out, "notes")); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := agora(t, append(args, "--out", out)...); code != 0 {
			t.Errorf("%s: exit code %d\n%s", args[0], code, stderr)
		}
		if _, err := os.Stat(filepath.Join(out, folderlock.File)); !os.IsNotExist(err) {
			t.Errorf("%s: the lock is left: %v", args[0], err)
		}
	}
}
