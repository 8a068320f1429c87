package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("0123456789"), 0o666); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path, 10); err != nil || string(text) != "0123456789" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := Read(path, 9); err == nil || !strings.Contains(err.Error(), path+": want at most 9 bytes, got 10") {
		t.Errorf("got %v", err)
	}
	if _, err := Read(path+"b", 9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
