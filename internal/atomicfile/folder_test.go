package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWriteFolder(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "new", "out")
	fill := func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o666) }
	if err := WriteFolder(dir, fill); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the folder holds %v", got)
	}
	if err := WriteFolder(dir, fill); err == nil {
		t.Error("a folder that holds something was replaced")
	}
	if got := names(t, root); !slices.Equal(got, []string{"new"}) {
		t.Errorf("beside the folder lies %v", got)
	}
}

func TestWriteFolderLeavesNothingAfterAnError(t *testing.T) {
	root := t.TempDir()
	wrong := errors.New("wrong")
	err := WriteFolder(filepath.Join(root, "new", "out"), func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "a"), nil, 0o666), wrong)
	})
	if !errors.Is(err, wrong) {
		t.Errorf("the error is %v", err)
	}
	if got := names(t, root); len(got) != 0 {
		t.Errorf("after an error there is %v", got)
	}
}

func TestRemoveLeftovers(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{".out.agora-0123abcd.tmp", "step-1", ".others.0123abcd.tmp"} {
		if err := os.MkdirAll(filepath.Join(root, name, "deep"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".a.json.agora-89abcdef.tmp", ".hidden", ".a\n.agora-0123abcd.tmp", "b.tmp",
		".a.agora-0123abcD.tmp"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveLeftovers(root); err != nil {
		t.Fatal(err)
	}
	if got := names(t, root); !slices.Equal(got, []string{".a.agora-0123abcD.tmp", ".hidden", ".others.0123abcd.tmp",
		"b.tmp", "step-1"}) {
		t.Errorf("left are %v", got)
	}
	if err := RemoveFolder(filepath.Join(root, "step-1")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, root); !slices.Equal(got, []string{".a.agora-0123abcD.tmp", ".hidden", ".others.0123abcd.tmp",
		"b.tmp"}) {
		t.Errorf("after removing step-1 there are %v", got)
	}
	if err := RemoveLeftovers(filepath.Join(root, "none")); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}
