// Package mapped opens files as slices of bytes that the system reads in when they
// are touched, so that a model's weights need no copy in memory.
package mapped

import (
	"fmt"
	"io/fs"
	"math"
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
	place := open.add(data, path)
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
