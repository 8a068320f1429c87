package folderlock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file without waiting. On Windows nobody else can read what is locked, so
// that is a byte far behind the text.
func tryLock(f *os.File) error {
	far := windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &far)
	switch err {
	case windows.ERROR_LOCK_VIOLATION, windows.ERROR_IO_PENDING:
		return errHeld
	case windows.ERROR_INVALID_FUNCTION, windows.ERROR_NOT_SUPPORTED:
		return errors.Join(err, errors.ErrUnsupported)
	}
	return err
}
