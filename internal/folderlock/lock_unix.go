//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package folderlock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks a file without waiting. Linux makes a flock on NFS one of the server's.
func tryLock(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return errHeld
		case unix.ENOLCK: // NFS without a lock daemon
			return errors.Join(err, errors.ErrUnsupported)
		default: // ENOTSUP and ENOSYS are errors.ErrUnsupported
			return err
		}
	}
}
