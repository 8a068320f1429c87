// Package null is a backend without memory: its buffers have sizes and no contents, its
// kernels do nothing, and reading gives zeros. On it the real code of a model can run at
// any size to see what memory it would take, because tensor.Device counts as ever.
package null

import (
	"fmt"

	"github.com/agora-ml/agora/tensor"
)

// Options choose what the backend pretends to be; the zero value is right for most.
type Options struct {
	Limit   int     // most bytes of buffers; 0: any number
	Kernels Watcher // is shown the kernels; nil: nobody
}

// Watcher knows what scratch memory a real backend would keep after some kernels.
type Watcher interface {
	Run(k tensor.Kernel, args []tensor.Arg)
	tensor.Scratcher
}

// backend counts the buffers that have been handed out.
type backend struct {
	Options
	used int
}

// buffer is a size. It is a pointer so that each is a Buffer of its own.
type buffer struct{ bytes int }

// Open starts the backend.
func Open(o Options) tensor.Backend {
	b := &backend{Options: o}
	if o.Kernels == nil {
		return launching{b}
	}
	return scratching{b}
}

// launching is a backend like a GPU's, of which Device.Launches is true.
type launching struct{ *backend }

func (launching) Launches() {}

// SplitsFactors is what the Watcher says, if it knows.
func (b *backend) SplitsFactors() bool {
	s, ok := b.Kernels.(tensor.Splitting)
	return ok && s.SplitsFactors()
}

// Offers is what the Watcher says, if it knows.
func (b *backend) Offers(k tensor.Kernel) bool {
	o, ok := b.Kernels.(tensor.Offerer)
	return ok && o.Offers(k)
}

// scratching is a backend whose kernels keep memory of their own.
type scratching struct{ *backend }

func (b *backend) Name() string { return "null" }

func (b *backend) Alloc(bytes int) (tensor.Buffer, error) {
	if b.Limit > 0 && bytes > b.Limit-b.used {
		return nil, fmt.Errorf("%w: %d bytes beside %d in use pass the limit of %d", tensor.ErrOutOfMemory, bytes,
			b.used, b.Limit)
	}
	b.used += bytes
	return &buffer{bytes}, nil
}

func (b *backend) Free(buf tensor.Buffer) { b.used -= buf.(*buffer).bytes }

func (b *backend) Run(k tensor.Kernel, args []tensor.Arg) {
	if b.Kernels != nil {
		b.Kernels.Run(k, args)
	}
}

// Scratch is what the Watcher says.
func (b scratching) Scratch() int { return b.Kernels.Scratch() }

func (b *backend) Write(tensor.Buffer, int, []byte) {}

func (b *backend) Read(reads ...tensor.Read) error {
	for _, r := range reads {
		clear(r.Dst)
	}
	return nil
}

func (b *backend) Flush() error { return nil }

func (b *backend) Close() error {
	b.used = 0
	return nil
}

// HoldsNothing makes the backend a tensor.Meta.
func (b *backend) HoldsNothing() {}
