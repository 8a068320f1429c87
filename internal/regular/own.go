package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Own opens a file of this program's own for reading and writing, and makes it if nothing of
// that name is there. It follows no link in the last part of the path: whoever may write to a
// folder could lead it to a file elsewhere.
func Own(path string) (*os.File, error) {
	wrong := func(m fs.FileMode) error {
		return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("want a regular file, got %s", Kind(m))}
	}
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, wrong(info.Mode())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|nonblocking|noFollow, 0o666)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = wrong(info.Mode())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
