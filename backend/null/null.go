// Package null is a backend without memory: its buffers have sizes and no contents, its
// kernels do nothing, and reading gives zeros. On it the real code of a model can run at
// any size to see what memory it would take, because tensor.Device counts as ever.
package null

import (
	"fmt"

	"github.com/agora-ml/agora/tensor"
)

// backend counts the buffers that have been handed out.
type backend struct{ limit, used int }

// buffer is a size. It is a pointer so that each is a Buffer of its own.
type buffer struct{ bytes int }

// Open gives a backend that refuses to hand out more than limit bytes; 0 means no limit.
func Open(limit int) tensor.Backend { return &backend{limit: limit} }

func (b *backend) Name() string { return "null" }

func (b *backend) Alloc(bytes int) (tensor.Buffer, error) {
	if b.limit > 0 && bytes > b.limit-b.used {
		return nil, fmt.Errorf("%w: %d bytes beside %d in use pass the limit of %d", tensor.ErrOutOfMemory, bytes, b.used, b.limit)
	}
	b.used += bytes
	return &buffer{bytes}, nil
}

func (b *backend) Free(buf tensor.Buffer) { b.used -= buf.(*buffer).bytes }

func (b *backend) Run(tensor.Kernel, []tensor.Arg) {}

func (b *backend) Write(tensor.Buffer, int, []byte) {}

func (b *backend) Read(dst []byte, _ tensor.Buffer, _ int) error {
	clear(dst)
	return nil
}

func (b *backend) Flush() error { return nil }

func (b *backend) Close() error {
	b.used = 0
	return nil
}

// HoldsNothing makes the backend a tensor.Virtual.
func (b *backend) HoldsNothing() {}
