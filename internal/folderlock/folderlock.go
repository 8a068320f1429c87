// Package folderlock keeps two processes from writing into one folder. The lock belongs to
// the open file, so the kernel lets go of it when its process ends, however that ends: a
// file that is left behind locks nobody out.
package folderlock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/internal/leftovers"
	"github.com/agora-ml/agora/internal/regular"
)

// File is the name of the file in the folder that is locked; its text is for people, and
// for the error of who comes second.
const File = ".lock"

// Lock is a folder that is this process's to write to.
type Lock struct {
	file   *os.File // nil where the file system has no locks
	reason error    // why it has none
	made   []string // folders that Take has made, the innermost first
	begun  *leftovers.Leftover
}

// HeldError says who else is writing into a folder.
type HeldError struct {
	Dir    string
	Holder string // "process 123", or "another process" where it cannot be told
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s: %s writes there", e.Dir, e.Holder) }

// errHeld is what tryLock gives where somebody else has the lock.
var errHeld = errors.New("held")

// lockFile is tryLock but for tests.
var lockFile = tryLock

// Take locks a folder, which is made if it is missing, or gives a *HeldError. A file system
// without locks is none: Unsupported says so.
func Take(dir string) (*Lock, error) {
	l := &Lock{}
	l.begun = leftovers.Begin(func() { _ = l.release() })
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if regular.Exists(d) { // be it a link that leads nowhere, which is not ours to remove
			break
		}
		l.made = append(l.made, d)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	path := filepath.Join(dir, File)
	for {
		f, err := regular.Own(path)
		if err != nil {
			return nil, errors.Join(err, l.Release())
		}
		switch err := lockFile(f); {
		case errors.Is(err, errHeld):
			held := &HeldError{dir, holder(f)}
			return nil, errors.Join(held, l.begun.Finish(), f.Close())
		case errors.Is(err, errors.ErrUnsupported):
			l.reason = err
			return l, errors.Join(f.Close(), os.Remove(path))
		case err != nil:
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close(), l.Release())
		}
		if !isAt(f, path) { // whoever had it has removed it meanwhile: this is no lock
			if err := f.Close(); err != nil {
				return nil, err
			}
			continue
		}
		if err := ours(f); err != nil {
			return nil, errors.Join(err, f.Close(), l.Release())
		}
		l.file = f
		if err := l.sign(); err != nil {
			return nil, errors.Join(err, l.Release())
		}
		return l, nil
	}
}

// Unsupported is why the file system has no locks, or nil: then nobody is kept out.
func (l *Lock) Unsupported() error { return l.reason }

// Release gives the folder free, without the lock's file and, if nothing else is in them,
// without the folders that Take has made.
func (l *Lock) Release() error {
	if l.begun.Finish() != nil { // released already
		return nil
	}
	return l.release()
}

func (l *Lock) release() error {
	var err error
	if l.file != nil {
		_ = os.Remove(l.file.Name()) // Windows keeps open files; what is left locks nobody out
		err = l.file.Close()
	}
	for _, dir := range l.made {
		if os.Remove(dir) != nil { // something is in it
			break
		}
	}
	return err
}

// sign writes who has the lock.
func (l *Lock) sign() error {
	host, _ := os.Hostname() // only for people
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), host), 0)
	return err
}

// mostText is more bytes than sign writes.
const mostText = 512

// ours refuses a file that somebody else has written, as its size tells: sign would empty it.
func ours(f *os.File) error {
	info, err := f.Stat()
	if err == nil && info.Size() > mostText {
		err = fmt.Errorf("%s: want a lock's file of at most %d bytes, got %d: somebody else's", f.Name(), mostText,
			info.Size())
	}
	return err
}

// holder reads who has the lock.
func holder(f io.ReaderAt) string {
	text := make([]byte, 256)
	n, _ := f.ReadAt(text, 0)
	words := strings.Fields(string(text[:n]))
	if len(words) == 0 {
		return "another process"
	}
	pid, err := strconv.Atoi(words[0])
	if err != nil {
		return "another process"
	}
	here, _ := os.Hostname()
	if len(words) == 2 && words[1] != here {
		return fmt.Sprintf("process %d on the machine %q", pid, words[1])
	}
	return fmt.Sprintf("process %d", pid)
}

// isAt reports whether an open file is still the one at path.
func isAt(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Lstat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}
