package tensor

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Device is a Backend with all that every backend needs: memory that is pooled and
// counted, lifetimes, checked kernel calls and the first error.
type Device struct {
	b       Backend
	scope   *Scope
	pool    pool
	err     error
	stats   Stats
	taken   int // bytes of all buffers
	lasting int // of them, those that were live at ResetPeak
	loose   int // bytes made outside scopes since the collector last ran

	poison bool
	closed bool

	mu       sync.Mutex
	deferred []memory // memory the collector has found unreachable

	args   []Arg // of the kernel that Run checks, as push and lens are
	push   []byte
	lens   []int
	traces []func(k Kernel, args []*Tensor)

	recording *Recording // by Record, which is under way

	beforeEnd, atEnd []func()
}

// memory is a buffer, or the first bytes of one.
type memory struct {
	buf   Buffer // nil if the device had failed before
	size  int    // of the buffer
	bytes int    // in use
}

// Stats counts a device's memory, in bytes.
type Stats struct {
	Live    int // in tensors
	Pooled  int // kept for the next tensors
	Peak    int // the most that was ever live, since ResetPeak
	Taken   int // the most that was ever live and pooled together, since ResetPeak
	Scratch int // what the backend's kernels keep for themselves, beside all that
	Limit   int // the most that the backend can give; 0 if unknown
}

// NewDevice wraps a backend.
func NewDevice(b Backend) *Device {
	if b == nil {
		Panicf("new_device", "want a backend, got nil")
	}
	d := &Device{b: b}
	_, d.pool.oldest = b.(Overlapping)
	if r, ok := b.(Reclaimer); ok {
		r.Reclaim(func() {
			d.gc()
			d.Trim()
		})
	}
	return d
}

// must is the device, if there is one.
func (d *Device) must(op string) *Device {
	switch {
	case d == nil:
		Panicf(op, "want a device, got nil")
	case d.b == nil:
		Panicf(op, "want a device that device.Open or NewDevice has made, got a zero Device")
	}
	return d
}

// Name is the backend's name, for messages.
func (d *Device) Name() string { return d.must("name").b.Name() }

// IsMeta reports whether this is a device whose tensors have shapes and sizes but no values: whoever
// fills one need not make them.
func (d *Device) IsMeta() bool {
	d.must("is_meta")
	_, ok := d.b.(Meta)
	return ok
}

// KeepsScratch reports whether kernels keep memory of their own beside tensors, as the CPU's
// do: Stats.Scratch.
func (d *Device) KeepsScratch() bool {
	d.must("keeps_scratch")
	_, ok := d.b.(Scratcher)
	return ok
}

// Offers reports whether the backend says that it has this kernel, and would rather run it than others that come to
// the same. No backend must: every operation can do without.
func (d *Device) Offers(k Kernel) bool {
	o, ok := d.must("offers").b.(Offerer)
	return ok && o.Offers(k)
}

// Launches reports whether every kernel has a price of its own, as on a GPU (Launching).
func (d *Device) Launches() bool {
	_, ok := d.must("launches").b.(Launching)
	return ok
}

// SplitsFactors reports whether factors of products of f32 lose digits on this device (Splitting).
func (d *Device) SplitsFactors() bool {
	s, ok := d.must("splits factors").b.(Splitting)
	return ok && s.SplitsFactors()
}

// MultipliesMatrices reports whether the device has instructions for products of matrices of a 16-bit type, which are
// several times as fast as those of f32 (MatrixMultiplier).
func (d *Device) MultipliesMatrices(dt DType) bool {
	m, ok := d.must("multiplies matrices").b.(MatrixMultiplier)
	return ok && m.MultipliesMatrices(dt)
}

// Err is the device's first error, or nil.
func (d *Device) Err() error { return d.must("err").err }

// SetErr records err as the device's error, unless it has one already or err is nil.
func (d *Device) SetErr(err error) {
	d.must("set_err")
	if d.err == nil && err != nil {
		d.err = err
	}
}

// Flush hands all work to the hardware and returns the device's first error.
func (d *Device) Flush() error {
	d.must("flush")
	if d.err == nil {
		d.SetErr(d.b.Flush())
	}
	return d.err
}

// Close gives all memory back, that of living tensors too: whoever reads one later
// gets ErrClosed. It returns the device's first error; a second Close does nothing.
func (d *Device) Close() error {
	d.must("close")
	if d.closed {
		return nil
	}
	for _, f := range d.beforeEnd {
		f()
	}
	d.drain()
	d.shrink(&d.pool, 0)
	err := errors.Join(d.err, d.b.Close())
	d.closed = true
	for _, f := range d.atEnd {
		f()
	}
	d.SetErr(ErrClosed)
	return err
}

// Stats returns how much memory is in use now.
func (d *Device) Stats() Stats {
	d.must("stats")
	d.drain()
	s := d.stats
	s.Pooled = d.taken - s.Live
	if b, ok := d.b.(Scratcher); ok {
		s.Scratch = b.Scratch()
	}
	if b, ok := d.b.(Limiter); ok {
		s.Limit = b.Limit()
	}
	return s
}

// ResetPeak starts Stats.Peak and Stats.Taken again from what is there now.
// What is live then is taken to stay, such as a model: freed memory is kept in proportion to the rest.
func (d *Device) ResetPeak() {
	d.must("reset_peak")
	d.lasting = d.stats.Live
	d.stats.Peak = d.stats.Live
	d.stats.Taken = d.taken
}

// Trim gives all pooled memory back to the backend.
func (d *Device) Trim() {
	d.must("trim")
	d.drain()
	d.shrink(d.spare(), 0)
	if d.recording != nil {
		d.spoil()
		d.shrink(&d.pool, 0)
	}
}

// Poison makes memory that is freed from now on NaN (-1 as integers), so that a use
// after free, or an output that a kernel forgot to write, shows in the results.
func (d *Device) Poison(on bool) { d.must("poison").poison = on }

// New makes a tensor of undefined content.
func (d *Device) New(dt DType, shape ...int) *Tensor {
	d.must("new")
	dt.mustBeKnown("new")
	n := Numel(shape)
	mustBeWholeBlocks("new", dt, shape)
	m := newMade(dt, shape, n)
	d.alloc(&m.storage, dt.Bytes(n))
	return &m.Tensor
}

// made is a tensor with memory of its own, in one allocation: when a text is generated, what there is to allocate for an
// operation takes about as long as the operation.
type made struct {
	Tensor
	storage storage
	dims    [4]int
}

// newMade is a tensor whose storage is still to be given memory.
func newMade(dt DType, shape []int, n int) *made {
	m := new(made)
	m.Tensor = Tensor{st: &m.storage, dtype: dt, shape: append(m.dims[:0], shape...), n: n}
	return m
}

// NewExact is New for a tensor that is there to stay, such as a weight: it takes no more than its bytes, where New
// rounds them up so that other tensors can use the memory later.
func (d *Device) NewExact(dt DType, shape ...int) *Tensor {
	d.must("new_exact")
	dt.mustBeKnown("new_exact")
	n := Numel(shape)
	mustBeWholeBlocks("new_exact", dt, shape)
	m := newMade(dt, shape, n)
	d.allocExactly(&m.storage, aligned(dt.Bytes(n)))
	return &m.Tensor
}

// Like makes a tensor of t's dtype and shape, of undefined content.
func (d *Device) Like(t *Tensor) *Tensor { return d.New(t.must("like").dtype, t.shape...) }

func (d *Device) alloc(st *storage, bytes int) {
	if d.poison {
		d.allocExactly(st, bytes) // so that guard words can stand right behind the last element
		return
	}
	size := poolSize(bytes)
	d.allocWithin(st, size, 2*size) // batches of all lengths then share the buffers of the longest
}

// allocExactly takes a buffer of so many bytes.
func (d *Device) allocExactly(st *storage, bytes int) { d.allocWithin(st, bytes, bytes) }

// allocWithin takes a buffer of so many bytes, or one from the pool that has at most the given number.
func (d *Device) allocWithin(st *storage, bytes, most int) {
	st.dev, st.scope = d, d.scope
	if d.err != nil {
		return
	}
	m := memory{bytes: bytes}
	d.drain()
	var ok bool
	if m.buf, m.size, ok = d.pool.get(m.bytes, most); !ok {
		m.size = m.bytes
		d.makeRoom(m.size)
		var err error
		if m.buf, err = d.b.Alloc(m.size); errors.Is(err, ErrOutOfMemory) {
			d.gc()
			d.Trim()
			m.buf, err = d.b.Alloc(m.size)
		}
		if err != nil {
			d.SetErr(fmt.Errorf("%s: %d bytes for a tensor, beside %d in use: %w", d.Name(), bytes, d.stats.Live, err))
			return
		}
		d.taken += m.size
	}
	d.adopt(st, m)
}

// makeRoom frees pooled buffers so that with a new one of so many bytes little more is
// taken from the backend than the tensors have ever needed at once: batches of ever
// other lengths would else pool buffers of all their sizes.
func (d *Device) makeRoom(bytes int) {
	d.lasting = min(d.lasting, d.stats.Live)
	most := max(d.stats.Peak, d.stats.Live+bytes)
	if over := d.taken + bytes - most - (most-d.lasting)/16; over > 0 {
		d.shrink(d.spare(), max(0, d.spare().bytes-over))
	}
}

// shrink leaves at most so many bytes in a pool.
func (d *Device) shrink(p *pool, bytes int) { d.taken -= p.shrink(bytes, d.b.Free) }

func (d *Device) adopt(st *storage, m memory) {
	d.stats.Live += m.bytes
	d.stats.Peak = max(d.stats.Peak, d.stats.Live)
	d.stats.Taken = max(d.stats.Taken, d.taken)
	st.memory = m
	if d.scope != nil {
		d.scope.owned = append(d.scope.owned, st)
	} else {
		d.collect(st)
	}
}

// collect hands a storage to the garbage collector. The collector does not see
// device memory, so it is called once enough has been handed to it.
func (d *Device) collect(st *storage) {
	if st.buf == nil || st.borrowed {
		return
	}
	st.cleanup = runtime.AddCleanup(st, func(m memory) {
		d.mu.Lock()
		d.deferred = append(d.deferred, m)
		d.mu.Unlock()
	}, st.memory)
	d.loose += st.bytes
	if d.loose > max(64<<20, d.stats.Live/2) && !d.IsMeta() {
		d.gc()
		d.drain()
	}
	runtime.KeepAlive(st)
}

// gc runs the collector and waits, shortly, until it has reported.
func (d *Device) gc() {
	d.loose = 0
	done := make(chan struct{})
	runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, done)
	runtime.GC()
	select {
	case <-done:
	case <-time.After(100 * time.Millisecond):
	}
}

// drain takes back what the collector has found; the collector itself never
// touches the device.
func (d *Device) drain() {
	d.mu.Lock()
	list := d.deferred
	d.deferred = nil
	d.mu.Unlock()
	for _, m := range list {
		d.recycle(m, d.spare())
	}
}

func (d *Device) release(st *storage, why string) {
	st.freed = why
	if st.buf == nil {
		return
	}
	if st.borrowed {
		st.buf = nil
		return
	}
	if st.scope == nil {
		st.cleanup.Stop()
	}
	d.recycle(st.memory, &d.pool)
	st.buf = nil
}

func (d *Device) recycle(m memory, to *pool) {
	d.stats.Live -= m.bytes
	if d.closed { // the backend has freed it
		return
	}
	if d.poison {
		d.b.Write(m.buf, 0, bytes.Repeat([]byte{0xff}, m.size))
	}
	to.put(m.size, m.buf)
}
