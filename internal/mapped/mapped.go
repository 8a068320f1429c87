// Package mapped opens files as slices of bytes that the system reads in when they
// are touched, so that a model's weights need no copy in memory.
package mapped

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"unsafe"

	"github.com/agora-ml/agora/internal/regular"
)

// Open maps the file at path read-only; release ends the mapping, and with it the use
// of data. Where a file is cut short while it is open, the system ends programs that touch a
// mapped page past its end, unless they do so in a Guard. Where the syscall package has no
// Mmap, the file is read whole.
func Open(path string) (data []byte, release func() error, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // a mapping outlives its descriptor
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if size := info.Size(); size == 0 || size > math.MaxInt {
		err := fmt.Errorf("want a regular file with content, got one of %d bytes", size)
		return nil, nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	data, unmap, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	place := open.add(data, path, info)
	return data, func() error {
		open.remove(place)
		return unmap()
	}, nil
}

// DropPages gives back the memory that the touched pages of all mapped files take of the process. They are read again
// when they are touched again.
func DropPages() {
	open.mu.Lock()
	defer open.mu.Unlock()
	for _, m := range open.list {
		drop(unsafe.Slice(m.data, m.end-m.begin))
	}
}

// WillNeed asks the system to read bytes of a mapped file before they are touched. It may wait for the disk.
func WillNeed(data []byte) {
	open.mu.Lock()
	var whole []byte
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(data))); len(data) > 0 {
		for _, m := range open.list {
			if m.begin <= at && at+uintptr(len(data)) <= m.end {
				from := (at - m.begin) &^ pageMask
				whole = unsafe.Slice(m.data, m.end-m.begin)[from : at-m.begin+uintptr(len(data))]
			}
		}
	}
	open.mu.Unlock()
	if len(whole) > 0 {
		willNeed(whole)
	}
}

// Changed returns an error for a mapped file that was written to since it was opened: who reads it sees some of what
// was there and some of what is. A file that was replaced or removed is there unchanged for those who have it open.
func Changed() error {
	open.mu.Lock()
	defer open.mu.Unlock()
	for _, m := range open.list {
		now, err := os.Stat(m.path)
		if err != nil || !os.SameFile(now, m.info) {
			continue
		}
		if now.Size() != m.info.Size() || !now.ModTime().Equal(m.info.ModTime()) {
			return &fs.PathError{Op: "read", Path: m.path, Err: errors.New("the file was written to while it was in use")}
		}
	}
	return nil
}
