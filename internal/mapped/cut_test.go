//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package mapped

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file that another program cuts short under its reader is an error that names it, also
// where the file is closed on the way; other panics go on.
func TestGuard(t *testing.T) {
	for _, closed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "weights")
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o666); err != nil {
			t.Fatal(err)
		}
		err := Guard(func() error {
			data, release, err := Open(path)
			if err != nil {
				return err
			}
			if closed {
				defer release()
			} else {
				t.Cleanup(func() { _ = release() })
			}
			if err := os.Truncate(path, 100); err != nil {
				return err
			}
			sum := 0
			for _, b := range data {
				sum += int(b)
			}
			return fmt.Errorf("the sum is %d", sum)
		})
		var e *fs.PathError
		if !errors.Is(err, ErrCutShort) || !errors.As(err, &e) || e.Path != path {
			t.Errorf("closed on the way: %v: got %v", closed, err)
		}
	}
	wrong := errors.New("wrong")
	if err := Guard(func() error { return wrong }); err != wrong {
		t.Errorf("got %v, want the function's own error", err)
	}
	defer func() {
		if r := recover(); r != "another" {
			t.Errorf("recovered %v", r)
		}
	}()
	_ = Guard(func() error { panic("another") })
}
