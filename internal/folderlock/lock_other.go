//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package folderlock

import (
	"errors"
	"os"
)

// tryLock is for systems without such locks.
func tryLock(*os.File) error { return errors.ErrUnsupported }
