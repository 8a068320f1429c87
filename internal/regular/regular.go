// Package regular opens files that are meant to be regular files, and nothing else: a pipe
// would wait for its writer, a device has no end.
package regular

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Open opens the file at path for reading. It is an error, at once, if that is no regular
// file; links are followed. A link that leads nowhere is not fs.ErrNotExist: what may be
// missing is not there by that name at all.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblocking, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, dangling(path, err)
	}
	if err != nil {
		if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() { // a socket
			return nil, notRegular(path, info)
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read reads the whole of a regular file, of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if size := info.Size(); size > most {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("want at most %d bytes, got %d", most, size)}
	}
	var text bytes.Buffer
	text.Grow(int(info.Size()) + bytes.MinRead) // files of /proc say 0 whatever they hold
	_, err = text.ReadFrom(io.LimitReader(f, most+1))
	if err == nil && int64(text.Len()) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("want at most %d bytes, got more", most)}
	}
	if err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

func notRegular(path string, info fs.FileInfo) error {
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("want a regular file, got %s", Kind(info.Mode()))}
}

// dangling is err, or of a link that leads nowhere an error that says so.
func dangling(path string, err error) error {
	target, isLink := os.Readlink(path)
	if isLink != nil {
		return err
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("want a regular file, got a link to %q, where "+
		"nothing is", target)}
}

// Stat is os.Stat, of a link that leads nowhere with the error that Open has.
func Stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = dangling(path, err)
	}
	return info, err
}

// Exists reports whether there is anything of that name, be it a link that leads nowhere:
// whoever then opens it finds out what. It is true, too, where that cannot be told.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Kind names what stands in a file's place.
func Kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "a regular file"
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeSymlink != 0:
		return "a link"
	}
	return "something else"
}
