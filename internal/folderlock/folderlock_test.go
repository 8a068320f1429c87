package folderlock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func take(t *testing.T, dir string) *Lock {
	t.Helper()
	l, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unsupported(); err != nil {
		t.Skipf("no locks in %s: %v", dir, err)
	}
	return l
}

func release(t *testing.T, l *Lock) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// The second is told who is first, and gets the lock as soon as that one is gone.
func TestTake(t *testing.T) {
	top := filepath.Join(t.TempDir(), "a")
	dir := filepath.Join(top, "b")
	l := take(t, dir)
	_, err := Take(dir)
	held, ok := errors.AsType[*HeldError](err)
	if !ok || held.Dir != dir || held.Holder != fmt.Sprintf("process %d", os.Getpid()) {
		t.Fatalf("the second gets %v", err)
	}
	release(t, l)
	if exists(top) {
		t.Error("folders that only the lock needed are left")
	}
	l = take(t, dir)
	result := filepath.Join(dir, "result")
	if err := os.WriteFile(result, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	release(t, l)
	if !exists(result) || exists(filepath.Join(dir, File)) {
		t.Error("want the result without the lock's file")
	}
}

// What a killed process has left behind locks nobody out.
func TestStaleFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), []byte("1 elsewhere, with a text longer than the next one's\n"),
		0o666); err != nil {
		t.Fatal(err)
	}
	l := take(t, dir)
	if _, err := Take(dir); err == nil || err.Error() != fmt.Sprintf("%s: process %d writes there", dir, os.Getpid()) {
		t.Errorf("the second gets %v", err)
	}
	release(t, l)
	if !exists(dir) {
		t.Error("a folder that was there is gone")
	}
}

func TestHolder(t *testing.T) {
	for text, want := range map[string]string{
		"": "another process", "x\n": "another process",
		"12 no-such-host\n": `process 12 on the machine "no-such-host"`, "12": "process 12",
	} {
		path := filepath.Join(t.TempDir(), File)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := holder(f); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		_ = f.Close()
	}
}

// Never do two have it, though each removes the file that others wait to lock.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	var inside, taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				l, err := Take(dir)
				if _, held := errors.AsType[*HeldError](err); held {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				taken.Add(1)
				inside.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if taken.Load() == 0 {
		t.Error("nobody got the lock")
	}
}

// A file system without locks keeps nobody out, and says so; another fault is an error.
func TestNoLocks(t *testing.T) {
	defer func() { lockFile = tryLock }()
	lockFile = func(*os.File) error { return fmt.Errorf("no locks available: %w", errors.ErrUnsupported) }
	dir := filepath.Join(t.TempDir(), "run")
	for range 2 {
		l, err := Take(dir)
		if err != nil || l.Unsupported() == nil {
			t.Fatalf("%v, %v", l, err)
		}
		if exists(filepath.Join(dir, File)) {
			t.Error("a file is left that locks nothing")
		}
		defer release(t, l)
	}
	lockFile = func(*os.File) error { return os.ErrPermission }
	other := filepath.Join(t.TempDir(), "run")
	if _, err := Take(other); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a fault of another kind: %v", err)
	}
}
