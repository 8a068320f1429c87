// Package atomicfile writes files that are whole or not there: whoever reads the
// path, now or after a crash, finds the old content or the new, never a part.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/agora-ml/agora/internal/leftovers"
	"github.com/agora-ml/agora/internal/regular"
)

// WriteFile replaces path by what write puts out. The bytes go to a temporary file
// in the same folder, which is synced and renamed over path; then the folder is
// synced. After an error, or a panic in write, path is as it was and the temporary
// file is gone. A file that was there passes on its permissions.
func WriteFile(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a rename would put a file in its place
		return &fs.PathError{Op: "write", Path: path,
			Err: fmt.Errorf("want the name of a file, got %s", regular.Kind(info.Mode()))}
	}
	f, err := create(path)
	if err != nil {
		return err
	}
	begun := leftovers.Begin(func() { os.Remove(f.Name()) })
	done := false
	defer func() {
		if !done {
			f.Close()
			os.Remove(f.Name())
			_ = begun.Finish()
		}
	}()

	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if old, err := os.Stat(path); err == nil && old.Mode().IsRegular() {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := begun.Finish(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	done = true
	return syncDir(filepath.Dir(path))
}

// CanWrite returns the reason why WriteFile could not write to path: for whoever works long before it
// does.
func CanWrite(path string) error {
	f, err := create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// CopyFile replaces the file to by a copy of the regular file from, as WriteFile does.
func CopyFile(from, to string) error {
	f, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return WriteFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// create opens a new hidden file beside path. os.CreateTemp would do, were its files
// not closed to everybody else whatever the umask says.
func create(path string) (*os.File, error) {
	for range 100 {
		name := hidden(path)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil || !os.IsExist(err) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "create a temporary file beside", Path: path, Err: fs.ErrExist}
}

// hidden is a new name beside path: one that RemoveLeftovers takes for ours and that nobody
// else gives.
func hidden(path string) string {
	dir, base := filepath.Split(path)
	base = base[:min(len(base), mostName)]
	return filepath.Join(dir, fmt.Sprintf(".%s.agora-%08x.tmp", base, rand.Uint32()))
}

// mostName leaves room for what hidden adds within the 255 bytes that file systems give a name.
const mostName = 200

var leftover = regexp.MustCompile(`^\.(?s:.*)\.agora-[0-9a-f]{8}\.tmp$`)

// syncDir makes the rename itself durable. Windows has no such call for folders.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
