package tensor

import "slices"

// Slab is a piece of device memory of a given size, over which tensors of any types and shapes are laid.
type Slab struct {
	st    *storage
	bytes int
}

// SlabAlign is what the offsets of a slab's tensors are multiples of: every kernel can read there.
const SlabAlign = 256

// NewSlab makes a slab of undefined content. It takes no more than its bytes, where a tensor's memory is rounded up
// so that others can use it later.
func (d *Device) NewSlab(bytes int) *Slab {
	if d.must("new_slab"); bytes < 1 {
		Panicf("new_slab", "want at least 1 byte, got %d", bytes)
	}
	return &Slab{d.allocExactly(aligned(bytes)), bytes}
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

// Write overwrites the first bytes, after all work asked before.
func (s *Slab) Write(data []byte) {
	if s.st.freed != "" || len(data) > s.bytes {
		Panicf("slab", "%d bytes for one of %d (%s)", len(data), s.bytes, s.st.freed)
	}
	if s.st.dev.err == nil {
		s.st.dev.b.Write(s.st.buf, 0, data)
	}
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

// Abandon leaves what Bytes gives to whoever has it: the memory stays until the program ends, whatever becomes of the
// slab and its device.
func (s *Slab) Abandon() {
	if h, ok := s.st.dev.b.(Hosted); ok && s.st.buf != nil {
		h.Abandon(s.st.buf)
	}
}
