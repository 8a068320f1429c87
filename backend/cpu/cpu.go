// Package cpu is the backend that runs every kernel on the processor.
//
// Each kernel is one file, named as its shader, together with the kernels of its
// gradient: rms_norm.go has rms_norm, rms_norm_grad and rms_norm_grad_weight. Others that
// belong together share one: add, sub, mul, div, scale and fill are in elementwise.go, gather
// and scatter_add in gather.go, im2col and col2im in im2col.go, max_pool and avg_pool in
// pool.go. First in the file is the kernel's meaning: plain loops over float32 or float64 that anyone can read. They
// are the specification that every other implementation, on the CPU or a GPU, is
// tested against. Faster versions follow (fast) and decline what they do not cover.
package cpu

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
	"github.com/agora-ml/agora/internal/cpulevel"
	"github.com/agora-ml/agora/internal/hostmemory"
	"github.com/agora-ml/agora/tensor"
)

// Options choose how the backend works; the zero value is right for most.
type Options struct {
	// Threads is the number of threads that compute; 0 means all of GOMAXPROCS.
	// Results have the same bits for any number.
	Threads int
	// MemoryLimit is the most bytes of tensors; 0 means what is free at Open.
	MemoryLimit int
	// RoundActivations has products with weights in Q8_0, Q4_0, Q4_K, Q5_K or Q6_K computed in integers where the processor
	// has AVX2, AVX512_VNNI or arm64's dot products: each 32 numbers of an activation are rounded to eight bits, as
	// llama.cpp does. Generating is faster so; never train so.
	RoundActivations bool
	// MatmulPrecision is how products of float32 are computed; "" is Highest. High means Highest where the processor has
	// no AMX.
	MatmulPrecision Precision
	// PlainLoops runs only the specification, for tests.
	PlainLoops bool
	// Profile, if set, gets the time of every kernel as a Chrome trace, at Close.
	Profile io.Writer
}

type backend struct {
	work    work
	memory  memory
	wide    []*buffer // see runWidened
	reclaim func()    // frees buffers that the device keeps for later; may be nil
	threads int
	byParts bool // products of float32: Options.MatmulPrecision
	clock   clock
	err     error
}

// Open starts the backend. Its Run computes at once.
func Open(o Options) (tensor.Backend, error) {
	if o.Threads < 0 || o.Threads > maxThreads {
		return nil, fmt.Errorf("cpu: threads: want 0 to %d, got %d", maxThreads, o.Threads)
	}
	if o.MemoryLimit < 0 {
		return nil, fmt.Errorf("cpu: memory limit: want at least 0 bytes, got %d", o.MemoryLimit)
	}
	if _, err := ParsePrecision(string(o.MatmulPrecision)); err != nil && o.MatmulPrecision != "" {
		return nil, fmt.Errorf("cpu: precision of products: %w", err)
	}
	if err := cpulevel.Err(); err != nil {
		return nil, err
	}
	o.Threads = threads(o.Threads)
	team := parallel.New(o.Threads)
	limit := o.MemoryLimit
	if limit == 0 {
		limit = availableMemory()
	}
	engine := gemm.NewOn(team)
	engine.RoundRows, engine.ByParts = o.RoundActivations, o.MatmulPrecision.byParts()
	b := &backend{
		work:   work{team: team, gemm: engine, scratch: make([]scratch, o.Threads), plain: o.PlainLoops},
		memory: memory{limit: limit}, threads: o.Threads, byParts: engine.ByParts, clock: newClock(o.Profile),
	}
	for i := range b.work.scratch {
		b.work.scratch[i].gemm.ByParts = b.byParts
	}
	return b, nil
}

// maxThreads is more than any machine has processors.
const maxThreads = 4096

// availableMemory is what the process can still take, less a sixteenth for all that is not
// tensors; 0 if unknown.
func availableMemory() int {
	left := hostmemory.Available()
	if !left.Known() {
		return 0
	}
	return max(left.Bytes/16*15, 1)
}

// threads is how many compute where n are asked for.
func threads(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

func (b *backend) Name() string { return "cpu" }

func (b *backend) Limit() int { return b.memory.limit }

func (b *backend) Alloc(bytes int) (tensor.Buffer, error) { return b.memory.alloc(bytes) }

func (b *backend) Free(buf tensor.Buffer) { b.memory.free(buf.(*buffer)) }

func (b *backend) Write(dst tensor.Buffer, off int, src []byte) {
	copy(dst.(*buffer).data[off:off+len(src)], src)
}

// Bytes makes the backend a tensor.Hosted.
func (b *backend) Bytes(buf tensor.Buffer) []byte { return buf.(*buffer).data }

// Borrow makes the backend a tensor.Hosted.
func (b *backend) Borrow(data []byte) tensor.Buffer { return &buffer{data: data} }

// Abandon makes the backend a tensor.Hosted.
func (b *backend) Abandon(buf tensor.Buffer) { b.memory.abandon(buf.(*buffer)) }

func (b *backend) Read(reads ...tensor.Read) error {
	for _, r := range reads {
		copy(r.Dst, r.Src.(*buffer).data[r.Offset:r.Offset+len(r.Dst)])
	}
	return b.err
}

func (b *backend) Flush() error { return b.err }

func (b *backend) Close() error {
	b.work.team.Close()
	for _, buf := range b.wide {
		if buf != nil {
			b.memory.free(buf)
		}
	}
	err := b.memory.close()
	return errors.Join(err, b.clock.close(), b.err)
}
