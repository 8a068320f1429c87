package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// wantOnly fails unless dir holds exactly the file name with this content.
func wantOnly(t *testing.T, dir, name, content string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name {
		t.Fatalf("folder holds %v, want only %s", entries, name)
	}
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != content {
		t.Fatalf("got %q, want %q", got, content)
	}
}

func writes(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestWriteFileCreatesAndReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := WriteFile(path, writes("one")); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, dir, "a.json", "one")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, writes("two")); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, dir, "a.json", "two")
	if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("permissions became %v, want those of the file replaced, 0640", info.Mode().Perm())
	}
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := WriteFile(path, writes("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := WriteFile(path, func(w io.Writer) error {
		w.Write(make([]byte, 3<<20)) // past the buffer: the temporary file has bytes
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got error %v, want the writer's", err)
	}
	wantOnly(t, dir, "a.json", "old")

	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		WriteFile(path, func(io.Writer) error { panic("broken") })
	}()
	wantOnly(t, dir, "a.json", "old")
}

func TestFailureBeforeAndAtTheRename(t *testing.T) {
	dir := t.TempDir()
	called := false
	err := WriteFile(filepath.Join(dir, "none", "a"), func(io.Writer) error { called = true; return nil })
	if err == nil || called {
		t.Errorf("missing folder: error %v, write called %v", err, called)
	}
	target := filepath.Join(dir, "a") // a folder that is not empty cannot be replaced
	if err := os.MkdirAll(filepath.Join(target, "b"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(target, writes("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("folder holds %v, want only the old one", entries)
	}
}
