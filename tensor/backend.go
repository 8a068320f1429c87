package tensor

import (
	"time"

	"github.com/agora-ml/agora/shaders"
)

// Kernel is one call of a kernel: a struct generated from the header of
// shaders/<name>.comp, with the sizes and constants of the call.
type Kernel = shaders.Kernel

// Buffer is a backend's handle of one allocation.
type Buffer any

// Arg is one argument of a kernel: N elements from byte Offset of a buffer. The
// zero Arg stands for an optional argument that is not there.
type Arg struct {
	Buf    Buffer
	Offset int
	N      int
	DType  DType
}

// IsNil reports whether the argument, an optional one, is not there.
func (a Arg) IsNil() bool { return a.Buf == nil }

// Read is one of the reads of Backend.Read: into all of Dst, from byte Offset of Src.
type Read struct {
	Dst    []byte
	Src    Buffer
	Offset int
}

// Backend is one piece of hardware. It knows kernels and memory, nothing of
// gradients, layers or lifetimes. Everything happens in the order asked. Its first
// error sticks: Flush and Read return it from then on, and nothing runs any more.
type Backend interface {
	Name() string
	// Alloc gives memory of undefined content. Its error wraps ErrOutOfMemory
	// where freeing other buffers may help.
	Alloc(bytes int) (Buffer, error)
	Free(Buffer)
	// Run records one kernel; it does not wait. Device has checked the arguments
	// against the kernel's Sig.
	Run(k Kernel, args []Arg)
	// Write copies src to dst at byte off; src may be reused when it returns.
	Write(dst Buffer, off int, src []byte)
	// Read does all these reads after everything asked before has run. It waits once.
	Read(reads ...Read) error
	// Flush hands everything recorded to the hardware; it may wait.
	Flush() error
	// Close frees the backend and every buffer that Free has not been called for.
	Close() error
}

// Meta is a backend whose buffers hold nothing, as those of PyTorch's meta device: what is written is lost, and
// reading gives zeros. Whoever would make values for it may leave that out (Device.IsMeta).
type Meta interface{ HoldsNothing() }

// Limiter is a backend that knows how much it can give.
type Limiter interface {
	// Limit is the most bytes of all buffers together; 0 if unknown.
	Limit() int
}

// Timer is a backend that tells how long its kernels run.
type Timer interface {
	// Time calls f for every kernel from now on, in the order of Run's calls, whatever the order in which they ran: at
	// once where Run computes, else when the hardware has told, at the latest in Read and Close.
	Time(f func(Timing))
}

// Timing is when one kernel ran.
type Timing struct {
	Kernel string
	Call   int           // of Run since Time, from 0 on: calls that had nothing to do have no Timing
	Form   string        // what ran for it: a shader's name, say
	Start  time.Duration // after the first kernel, or the device's opening
	Ran    time.Duration
}

// Offerer is a backend that has kernels which others lack. An operation that can do without one asks first
// (Device.Offers).
type Offerer interface {
	// Offers reports whether it runs this kernel, and better than the kernels that an operation would otherwise ask for.
	Offers(Kernel) bool
}

// Scratcher is a backend whose kernels keep memory of their own from call to call.
type Scratcher interface {
	// Scratch is its size in bytes.
	Scratch() int
}

// Overlapping is a backend that runs kernels side by side where none needs what another writes. A kernel that writes to
// memory waits for its last reader, so the memory that was freed first is used again first; elsewhere it is the last,
// which caches still have.
type Overlapping interface{ RunsSideBySide() }

// Launching is a backend for which every kernel has a price of its own, however little it does: an operation asks for one
// product of several matrices in place of several products where it can (Device.Launches).
type Launching interface{ Launches() }

// Splitting is a backend that may compute products of f32 by parts of fewer digits.
type Splitting interface {
	// SplitsFactors reports whether it does.
	SplitsFactors() bool
}

// MatrixMultiplier is a backend that multiplies matrices of some 16-bit types several times as fast as those of f32.
type MatrixMultiplier interface {
	// MultipliesMatrices reports whether a type is one of them.
	MultipliesMatrices(DType) bool
}

// Reclaimer is a backend that takes memory for itself while kernels run. It calls what it is
// given where there is none left: the device then gives back what it keeps for later.
type Reclaimer interface {
	Reclaim(free func())
}

// Hosted is a backend whose buffers are memory of the process, and whose Run computes at once.
type Hosted interface {
	// Bytes is a buffer's memory: what is written there is the buffer's content.
	Bytes(Buffer) []byte
	// Borrow makes a buffer of memory that is the caller's, and is never written to. Free is not called for it.
	Borrow(data []byte) Buffer
	// Abandon leaves a buffer's memory where it is until the program ends, also after Free and Close.
	Abandon(Buffer)
}

// Filler is a backend with memory of its own that gets content for a buffer while kernels run which do not use it.
type Filler interface {
	// Fill begins to replace the first n bytes of dst, whose content is undefined from then on. Room, which any goroutine
	// may call, once, waits until everything asked before that uses dst is out of the way, and gives memory of the host.
	Fill(dst Buffer, n int) (room func() ([]byte, error))
	// Filled is called when the room has been written to, and before anything else is asked of dst: it then has these
	// bytes.
	Filled(dst Buffer)
	// Abandon leaves the room where it is until the program ends, also after Free and Close.
	Abandon(dst Buffer)
}
