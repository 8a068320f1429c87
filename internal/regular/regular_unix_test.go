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
		loop: "too many levels of symbolic links", nowhere: `want a regular file, got a link to "none", where nothing is`,
		through: `want a regular file, got a link to "nowhere", where nothing is`, long: "file name too long",
		pipe: "want a regular file, got a named pipe", link: "want a regular file, got a named pipe",
		socket: socket, os.DevNull: "want a regular file, got a device", dir: "want a regular file, got a folder",
	} {
		if _, err := Read(path, 10); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		} else if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is taken for a file that is not there", path, err)
		}
		if !Exists(path) {
			t.Errorf("%s is not there", path)
		}
	}
}
