package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/folderlock"
	"github.com/agora-ml/agora/internal/regular"
)

// checkOutFolder refuses a folder that holds something: what is there already stays as
// it is, and is never mixed with what a command writes. It refuses, too, one that cannot be
// made, before the work for it is done.
func checkOutFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !regular.Exists(dir):
		if err := atomicfile.CanMake(dir); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--out %s: want a new or empty folder, got a link that leads nowhere", dir)
	case err != nil:
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return fmt.Errorf("--out %s: want a new or empty folder, got %s", dir, regular.Kind(info.Mode()))
		}
		return fmt.Errorf("--out: %w", err)
	case len(entries) == 1 && entries[0].Name() == folderlock.File:
		return freeOfLock(dir)
	case len(entries) > 0:
		return fmt.Errorf("--out %s: want a new or empty folder, got one that holds %q", dir, entries[0].Name())
	}
	return nil
}

// freeOfLock removes the lock that a killed run has left as all there is in a folder.
func freeOfLock(dir string) error {
	l, err := folderlock.Take(dir)
	if held, ok := errors.AsType[*folderlock.HeldError](err); ok {
		return fmt.Errorf("--out %s: want a folder that no run writes to, got one where %s is training", dir,
			held.Holder)
	}
	if err == nil {
		err = l.Release()
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// outFile is a file that a command writes.
type outFile struct {
	flag      string // that names it
	path      string
	overwrite bool   // a file that is there may go; never one of the command's sources
	way       string // how a user says so, behind "want a new file"
}

// orOverwrite is outFile.way of commands that have the flag.
const orOverwrite = " (or --overwrite to replace it)"

// check refuses a path where something is already, and one that cannot be written to, before
// the work for it is done. Sources are files and folders that the command reads: none of
// their files is ever written over, by whatever name.
func (o outFile) check(sources ...string) error {
	info, err := os.Stat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && regular.Exists(o.path):
		return fmt.Errorf("--%s %s: want the name of a file, got a link that leads nowhere", o.flag, o.path)
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("--%s: %w", o.flag, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("--%s %s: want the name of a file, got %s", o.flag, o.path, regular.Kind(info.Mode()))
	default:
		if source := sameFile(info, sources); source != "" {
			return fmt.Errorf("--%s %s: want another file than the source %s, got the same", o.flag, o.path, source)
		}
		if !o.overwrite {
			return fmt.Errorf("--%s %s: want the name of a new file%s, got one that is there", o.flag, o.path, o.way)
		}
	}
	if err := atomicfile.CanWrite(o.path); err != nil {
		return fmt.Errorf("--%s: %w", o.flag, err)
	}
	return nil
}

// sameFile is the first file among or directly in sources that info is of, or "".
func sameFile(info fs.FileInfo, sources []string) string {
	for _, source := range sources {
		paths := []string{source}
		entries, _ := os.ReadDir(source) // none of a file; what cannot be read cannot be a source
		for _, e := range entries {
			paths = append(paths, filepath.Join(source, e.Name()))
		}
		for _, path := range paths {
			if other, err := os.Stat(path); err == nil && os.SameFile(info, other) {
				return path
			}
		}
	}
	return ""
}

// writeFolder makes a new folder, whole or not at all.
func writeFolder(dir string, write func(dir string) error) error {
	if err := checkOutFolder(dir); err != nil {
		return err
	}
	return atomicfile.WriteFolder(dir, write)
}
