package vulkan

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/agora-ml/agora/tensor"
)

// pipeline is one that a thread makes while the commands that need it are recorded.
type pipeline struct {
	made chan struct{} // is closed when there is an id, or an error
	id   uint64
	err  error
}

// ready reports whether it is made, and the driver has taken it.
func (p *pipeline) ready() bool {
	select {
	case <-p.made:
		return p.err == nil
	default:
		return false
	}
}

// compilers make pipelines on several threads. A driver may need a second for one, and the first step of a model thirty of
// them, which are known long before the step is submitted.
type compilers struct {
	threads chan struct{} // nil: each is made where it is asked for
	all     sync.WaitGroup
}

// mostCompilers bounds the memory of compilers, which take 100 MB and more each.
const mostCompilers = 8

func newCompilers() *compilers {
	n := min(runtime.NumCPU(), mostCompilers)
	if n == 1 {
		return &compilers{}
	}
	return &compilers{threads: make(chan struct{}, n)}
}

// compile begins to make a pipeline of a device's.
func (c *compilers) compile(hw hardware, code []byte, constants constants, subgroup int) *pipeline {
	p := &pipeline{made: make(chan struct{})}
	work := func() {
		defer close(p.made)
		p.id, p.err = hw.pipeline(code, &constants, subgroup)
	}
	if c.threads == nil {
		work()
		return p
	}
	c.all.Go(func() {
		c.threads <- struct{}{}
		defer func() { <-c.threads }()
		work()
	})
	return p
}

// awaiting is a recorded command whose pipeline was not there yet.
type awaiting struct {
	entry int // of the recorder
	call  tensor.Kernel
	args  []tensor.Arg
	p     prepared
}

// settle gives the recorded commands their pipelines. An alternative that the driver does not compile is given up: what
// it computes with is what drivers get wrong most. So is a lean tile, in whose place there are others.
func (b *backend) settle() {
	for _, a := range b.awaiting {
		for <-a.p.pipeline.made; a.p.pipeline.err != nil; <-a.p.pipeline.made {
			f := a.p.form
			switch _, asked := b.tiles[f.name]; {
			case f.alternative && !asked:
				f.tiles = nil
			case !slices.Contains(f.tiles, a.p.variant.tile): // commands before this one may have given it up
				f.lean = nil
			default:
				b.fail(fmt.Errorf("kernel %s: %w", a.call.Name(), a.p.pipeline.err))
				return
			}
			delete(f.pipelines, a.p.variant)
			var err error
			if a.p, err = b.prepare(b.kernels[a.call.Name()], a.call, a.args); err != nil {
				b.fail(fmt.Errorf("kernel %s: %w", a.call.Name(), err))
				return
			}
		}
		e := &b.rec.entries[a.entry]
		e.pipeline, e.groups, e.name.form = a.p.pipeline.id, a.p.groups, a.p.form.name
	}
	clear(b.awaiting)
	b.awaiting = b.awaiting[:0]
}
