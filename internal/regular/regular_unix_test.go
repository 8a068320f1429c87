//go:build unix

package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Own makes a file, opens it again, and goes through no link to another.
func TestOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for range 2 {
		f, err := Own(at("own"))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("precious"), []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"link": "precious", "nowhere": "none", "null": os.DevNull} {
		if err := os.Symlink(to, at(from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	for path, got := range map[string]string{
		at("link"): "a link", at("nowhere"): "a link", at("null"): "a link", at("pipe"): "a named pipe",
		os.DevNull: "a device", dir: "a folder",
	} {
		if _, err := Own(path); err == nil || !strings.Contains(err.Error(), path+": want a regular file, got "+got) {
			t.Errorf("%s: got %v, want it to tell %s", path, err, got)
		}
	}
	if Exists(at("none")) {
		t.Error("a file was made through a link")
	}
}

func TestSpecialFilesAreRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	loop, nowhere, through := filepath.Join(dir, "loop"), filepath.Join(dir, "nowhere"), filepath.Join(dir, "through")
	for from, to := range map[string]string{loop: "loop", nowhere: "none", through: "nowhere"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	long := filepath.Join(dir, strings.Repeat("n", 300))
	for path, want := range map[string]string{
		loop:    "too many levels of symbolic links",
		nowhere: `want a regular file, got a link to "none", where nothing is`,
		through: `want a regular file, got a link to "nowhere", where nothing is`, long: "file name too long",
		pipe: "want a regular file, got a named pipe", link: "want a regular file, got a named pipe",
		socket: "want a regular file, got a socket", os.DevNull: "want a regular file, got a device",
		dir: "want a regular file, got a folder",
	} {
		if _, err := Read(path, 10); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		} else if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is taken for a file that is not there", path, err)
		}
		if !Exists(path) {
			t.Errorf("%s is not there", path)
		}
	}
}
