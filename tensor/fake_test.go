package tensor

import (
	"fmt"
)

// fake is a backend of byte slices that records the names of the kernels it is
// given and has at most limit bytes.
type fake struct {
	limit, used int
	allocs      int
	ran         []string
	fail        error
	closed      int // calls of Close
	touched     int // writes after it
	waits       int // calls of Read
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Alloc(bytes int) (Buffer, error) {
	f.allocs++
	if f.limit > 0 && f.used+bytes > f.limit {
		return nil, fmt.Errorf("%w: %d of %d", ErrOutOfMemory, f.used+bytes, f.limit)
	}
	f.used += bytes
	return &[]byte{}, nil
}

func (f *fake) Free(b Buffer) {
	if b == nil {
		panic("Free of no buffer")
	}
}

func (f *fake) Run(k Kernel, _ []Arg) { f.ran = append(f.ran, k.Name()) }

func (f *fake) Write(dst Buffer, off int, src []byte) {
	if f.closed > 0 {
		f.touched++
	}
	b := dst.(*[]byte)
	if len(*b) < off+len(src) {
		*b = append(*b, make([]byte, off+len(src)-len(*b))...)
	}
	copy((*b)[off:], src)
}

func (f *fake) Read(reads ...Read) error {
	f.waits++
	for _, r := range reads {
		if b := *r.Src.(*[]byte); r.Offset < len(b) {
			copy(r.Dst, b[r.Offset:])
		}
	}
	return f.fail
}

func (f *fake) Flush() error { return f.fail }

func (f *fake) Close() error {
	f.closed++
	return nil
}
