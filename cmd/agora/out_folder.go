package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// checkOutFolder refuses a folder that holds something: what is there already stays as
// it is, and is never mixed with what a command writes.
func checkOutFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("--out: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("--out %s: want a new or empty folder, got one that holds %s", dir, entries[0].Name())
	}
	return nil
}

// checkOutFile refuses a folder where a file shall be.
func checkOutFile(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("--out %s: want the name of a file, got a folder", path)
	}
	return nil
}

// writeFolder makes a folder all at once: write fills a hidden one near it, which then
// takes its name. After an error there is nothing new.
func writeFolder(dir string, write func(dir string) error) (err error) {
	if err := checkOutFolder(dir); err != nil {
		return err
	}
	dir = filepath.Clean(dir)
	near := filepath.Dir(dir) // the nearest folder that is there
	for _, err := os.Stat(near); errors.Is(err, fs.ErrNotExist); _, err = os.Stat(near) {
		near = filepath.Dir(near)
	}
	temporary := filepath.Join(near, fmt.Sprintf(".%s.%08x.tmp", filepath.Base(dir), rand.Uint32()))
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temporary)
		}
	}()
	if err := write(temporary); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty
		return fmt.Errorf("--out: %w", err)
	}
	return os.Rename(temporary, dir)
}
