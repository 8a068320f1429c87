package optest

import (
	"bytes"
	"fmt"

	"github.com/agora-ml/agora/tensor"
)

// fence is a backend around another that fills new memory with NaN and puts guard
// words before and behind every buffer, which it checks when the buffer is freed.
type fence struct {
	tensor.Backend
	broken string // what was found first
}

type fenced struct {
	buf   tensor.Buffer
	bytes int
}

const guardBytes = 256 // keeps the alignment that backends promise

func (f *fence) Alloc(size int) (tensor.Buffer, error) {
	buf, err := f.Backend.Alloc(size + 2*guardBytes)
	if err != nil {
		return nil, err
	}
	f.Backend.Write(buf, 0, bytes.Repeat([]byte{0xa5}, guardBytes))
	f.Backend.Write(buf, guardBytes, bytes.Repeat([]byte{0xff}, size))
	f.Backend.Write(buf, guardBytes+size, bytes.Repeat([]byte{0xa5}, guardBytes))
	return &fenced{buf: buf, bytes: size}, nil
}

func (f *fence) Free(buf tensor.Buffer) {
	b := buf.(*fenced)
	guards := []tensor.Read{{Offset: 0}, {Offset: guardBytes + b.bytes}}
	for i := range guards {
		guards[i].Dst, guards[i].Src = make([]byte, guardBytes), b.buf
	}
	if err := f.Backend.Read(guards...); err != nil {
		f.broken = err.Error()
	}
	for _, g := range guards {
		if bytes.Count(g.Dst, []byte{0xa5}) != guardBytes {
			f.broken = fmt.Sprintf("a buffer of %d bytes was written outside itself (guard at %d)", b.bytes,
				g.Offset-guardBytes)
		}
	}
	f.Backend.Free(b.buf)
}

func (f *fence) Run(k tensor.Kernel, args []tensor.Arg) {
	inner := make([]tensor.Arg, len(args))
	for i, a := range args {
		if !a.IsNil() {
			a.Buf, a.Offset = a.Buf.(*fenced).buf, a.Offset+guardBytes
			inner[i] = a
		}
	}
	f.Backend.Run(k, inner)
}

func (f *fence) Write(dst tensor.Buffer, off int, src []byte) {
	f.Backend.Write(dst.(*fenced).buf, off+guardBytes, src)
}

func (f *fence) Read(reads ...tensor.Read) error {
	inner := make([]tensor.Read, len(reads))
	for i, r := range reads {
		inner[i] = tensor.Read{Dst: r.Dst, Src: r.Src.(*fenced).buf, Offset: r.Offset + guardBytes}
	}
	return f.Backend.Read(inner...)
}
