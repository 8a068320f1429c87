package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/leftovers"
)

// WriteFolder makes a folder all at once: write fills a hidden one near it, which is
// synced and then takes its name; a folder that is missing on the way there is made.
// After an error, or a panic in write, there is nothing new. A dir that is there must be
// empty.
func WriteFolder(dir string, write func(dir string) error) error {
	dir = filepath.Clean(dir)
	temporary := near(dir)
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return err
	}
	begun := leftovers.Begin(func() { os.RemoveAll(temporary) })
	done := false
	defer func() {
		if !done {
			os.RemoveAll(temporary)
			_ = begun.Finish()
		}
	}()
	if err := write(temporary); err != nil {
		return err
	}
	if err := syncTree(temporary); err != nil {
		return err
	}
	if err := begun.Finish(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it must be empty
		return err
	}
	if err := os.Rename(temporary, dir); err != nil {
		return err
	}
	done = true
	return syncDir(filepath.Dir(dir))
}

// CanMake returns the reason why WriteFolder could not make dir: for whoever works long before it does.
func CanMake(dir string) error {
	temporary := near(filepath.Clean(dir))
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return err
	}
	return os.Remove(temporary)
}

// near is a hidden name for dir in the nearest folder that is there.
func near(dir string) string {
	near := filepath.Dir(dir)
	for _, err := os.Stat(near); errors.Is(err, fs.ErrNotExist) && near != filepath.Dir(near); _, err = os.Stat(near) {
		near = filepath.Dir(near)
	}
	return hidden(filepath.Join(near, filepath.Base(dir)))
}

// syncTree makes the content of a folder durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return syncDir(path)
		case !e.Type().IsRegular():
			return nil
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows syncs only what may be written
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// RemoveFolder removes a folder so that no part of it is ever left under its name: a
// crash on the way leaves a hidden folder that ends in .tmp.
func RemoveFolder(dir string) error {
	dir = filepath.Clean(dir)
	name := hidden(dir)
	if err := os.Rename(dir, name); err != nil {
		return err
	}
	return os.RemoveAll(name)
}

// RemoveLeftovers removes what a crash during WriteFile, WriteFolder or RemoveFolder has
// left in a folder, and nothing else. Nobody may be writing there. A folder that is not there has nothing.
func RemoveLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if leftover.MatchString(e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
