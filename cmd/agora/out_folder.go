package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/agora-ml/agora/encoding/atomicfile"
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

// writeFolder makes a new folder, whole or not at all.
func writeFolder(dir string, write func(dir string) error) error {
	if err := checkOutFolder(dir); err != nil {
		return err
	}
	return atomicfile.WriteFolder(dir, write)
}
