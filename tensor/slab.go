package tensor

import "slices"

// Slab is a piece of device memory of a given size, over which tensors of any types and shapes are laid.
type Slab struct {
	st      *storage
	bytes   int
	filling []byte // between Fill and Filled of a device that can only be written to
}

// SlabAlign is what the offsets of a slab's tensors are multiples of: every kernel can read there.
const SlabAlign = 256

// NewSlab makes a slab of undefined content. It takes no more than its bytes, where a tensor's memory is rounded up
// so that others can use it later.
func (d *Device) NewSlab(bytes int) *Slab {
	if d.must("new_slab"); bytes < 1 {
		Panicf("new_slab", "want at least 1 byte, got %d", bytes)
	}
	s := &Slab{st: new(storage), bytes: bytes}
	d.allocExactly(s.st, aligned(bytes))
	return s
}

// aligned is the multiple of SlabAlign from so many bytes on.
func aligned(bytes int) int { return (bytes + SlabAlign - 1) / SlabAlign * SlabAlign }

// Len is the number of its bytes.
func (s *Slab) Len() int { return s.bytes }

// Tensor is the memory from byte at on as a tensor.
func (s *Slab) Tensor(at int, dt DType, shape ...int) *Tensor {
	dt.mustBeKnown("slab")
	mustBeWholeBlocks("slab", dt, shape)
	n := Numel(shape)
	if at < 0 || at%SlabAlign != 0 || at > s.bytes-dt.Bytes(n) {
		Panicf("slab", "%s%v from byte %d of %d: want a multiple of %d, and room for it", dt, shape, at, s.bytes, SlabAlign)
	}
	s.st.shared = true
	return &Tensor{st: s.st, dtype: dt, shape: slices.Clone(shape), n: n, off: at}
}

// Fill begins to replace the first n bytes, all of whose content is undefined from then on. Room, which any goroutine may
// call, once, waits until nothing that was asked before uses them, and gives the memory to write to: the slab's own where
// the device computes in the process's memory (Hosted) or shares it, else memory from which the bytes are copied while
// kernels run. Filled ends it. A room that nobody has written to yet must not outlive the device (BeforeEnd).
func (s *Slab) Fill(n int) (room func() ([]byte, error)) {
	d := s.st.dev
	if s.st.freed != "" || n < 0 || n > s.bytes {
		Panicf("slab", "%d bytes for one of %d (%s)", n, s.bytes, s.st.freed)
	}
	if err := d.err; err != nil {
		return func() ([]byte, error) { return nil, err }
	}
	own := s.Bytes()
	if f, ok := d.b.(Filler); ok && own == nil {
		return f.Fill(s.st.buf, n)
	}
	if s.filling = nil; own == nil {
		own = make([]byte, n)
		s.filling = own
	}
	return func() ([]byte, error) { return own[:n:n], nil }
}

// Filled has the slab have what was written to the room that Fill gave: whatever is asked from now on reads that.
func (s *Slab) Filled() {
	d := s.st.dev
	s.st.version++
	if d.err != nil || s.Bytes() != nil {
		return
	}
	if f, ok := d.b.(Filler); ok {
		f.Filled(s.st.buf)
		return
	}
	d.b.Write(s.st.buf, 0, s.filling)
}

// Bytes is the memory itself, of a device that computes in the process's own (Hosted), for as long as the slab is
// there; nil of any other, and of one that has failed.
func (s *Slab) Bytes() []byte {
	h, ok := s.st.dev.b.(Hosted)
	if !ok || s.st.buf == nil {
		return nil
	}
	return h.Bytes(s.st.buf)[:s.bytes:s.bytes]
}

// Abandon leaves what Bytes or Fill gives to whoever has it: the memory stays until the program ends, whatever becomes of
// the slab and its device.
func (s *Slab) Abandon() {
	if b, ok := s.st.dev.b.(interface{ Abandon(Buffer) }); ok && s.st.buf != nil {
		b.Abandon(s.st.buf)
	}
}
