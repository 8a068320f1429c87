//go:build unix

package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A pipe gives what its writers write, also in several parts, and then ends.
func TestPipe(t *testing.T) {
	path := fifo(t)
	want := bytes.Repeat([]byte("0123456789"), 50_000)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for _, part := range [][]byte{want[:3], want[3:100_000], want[100_000:]} {
			if _, err := f.Write(part); err != nil {
				t.Error(err)
			}
		}
	}()
	got, err := Read(t.Context(), path, len(want))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Neither a pipe without a writer nor one whose writer is silent holds up the end.
func TestPipeEndsWithTheContext(t *testing.T) {
	for _, silent := range []bool{false, true} {
		path := fifo(t)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		if silent {
			w, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if _, err := w.WriteString("first"); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 10)
			if n, err := r.Read(b); err != nil || string(b[:n]) != "first" {
				t.Errorf("read %q, %v", b[:n], err)
			}
		}
		go cancel()
		if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("silent %v: read %d bytes, %v", silent, n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsNoStream(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(t.Context(), path, 10); err != nil || string(got) != "0123456789" {
		t.Errorf("read %q, %v", got, err)
	}
	nowhere := filepath.Join(dir, "nowhere")
	if err := os.Symlink("none", nowhere); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "want a file or a pipe, got a folder", "/dev/zero": "want a file or a pipe, got a device",
		nowhere: "got a link to", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := Read(t.Context(), path, 10); err == nil || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
	if _, err := Read(t.Context(), path, 9); err == nil ||
		!strings.Contains(err.Error(), path+": want at most 9 bytes, got 10") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a file was read on: %v", err)
	}
}
