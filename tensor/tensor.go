package tensor

import "runtime"

// Tensor is a contiguous row-major block on a Device. Several tensors may share
// one memory (View, Reshape).
type Tensor struct {
	st    *storage
	dtype DType
	shape []int
	n     int // elements
	off   int // bytes from the start of the storage
}

// storage is one piece of device memory; it belongs to a scope or, outside all
// scopes, to the garbage collector.
type storage struct {
	memory
	dev     *Device
	scope   *Scope // nil: the collector's
	cleanup runtime.Cleanup
	freed   string // why it is gone; "" while it is there
	shared  bool   // View or Reshape was called
	version uint64 // how often something was written

	borrowed bool // the memory is the caller's: see Borrow
}

// Device is where the tensor lives.
func (t *Tensor) Device() *Device { return t.must("device").st.dev }

// DType is how the elements are stored.
func (t *Tensor) DType() DType { return t.must("dtype").dtype }

// Bytes is the size of the elements in memory.
func (t *Tensor) Bytes() int { return t.dtype.Bytes(t.n) }

// Memory identifies the memory: equal for tensors that share it.
func (t *Tensor) Memory() any { return t.must("memory").st }

// Shared reports whether other tensors may share the memory.
func (t *Tensor) Shared() bool { return t.must("shared").st.shared }

// Version grows whenever a kernel or the host writes to the memory, to whichever part of it: whoever keeps what is made of
// it sees by the version whether that is out of date. What is written through Slab.Bytes alone is not seen.
func (t *Tensor) Version() uint64 { return t.must("version").st.version }

// Alive reports whether the tensor may still be used.
func (t *Tensor) Alive() bool { return t.must("alive").st.freed == "" }

// Free gives the memory back at once, for all tensors that share it. Whoever uses
// one of them later is told why it is gone.
func (t *Tensor) Free(why string) {
	t.mustLive("free")
	t.st.dev.release(t.st, why)
}

// must is the tensor, if there is one.
func (t *Tensor) must(op string) *Tensor {
	if t == nil || t.st == nil {
		Panicf(op, "want a tensor that a device has made, got %s", t)
	}
	return t
}

func (t *Tensor) mustLive(op string) {
	t.must(op)
	if t.st.freed != "" {
		Panicf(op, "the tensor %s is gone: %s", t, t.st.freed)
	}
}
