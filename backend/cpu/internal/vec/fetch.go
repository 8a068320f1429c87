package vec

import (
	"fmt"
	"unsafe"
)

// Fetch asks for rows of so many bytes of x, step bytes from each to the next, to be in a cache when they are read or written.
func Fetch(x []byte, rows, bytes, step int) {
	if rows < 1 || bytes < 1 || step < 0 || len(x) < (rows-1)*step+bytes {
		panic(fmt.Sprintf("vec.Fetch: %d rows of %d bytes, %d apart, of %d", rows, bytes, step, len(x)))
	}
	fetch(unsafe.SliceData(x), rows, bytes, step)
}
