package tensor

import (
	"slices"
	"unsafe"
)

// Borrow makes a tensor of elements that lie in memory of the caller's, in dt's own bytes, such as a mapped file: they
// are used where they are, and must stay there for as long as the device is open. They are only read; a kernel that would
// write to them panics. The tensor counts as no memory of the device.
//
// ok is false where the device does not compute in the process's own memory (Hosted), or cannot read elements at such
// an address: numbers must lie at a multiple of their size, blocks of quantized ones may lie anywhere. On a device
// without values (IsMeta) data may be nil.
func (d *Device) Borrow(dt DType, data []byte, shape ...int) (t *Tensor, ok bool) {
	d.must("borrow")
	dt.mustBeKnown("borrow")
	mustBeWholeBlocks("borrow", dt, shape)
	n := Numel(shape)
	if want := dt.Bytes(n); len(data) != want && !(d.IsMeta() && data == nil) {
		Panicf("borrow", "%d bytes for %s%v, want %d", len(data), dt, shape, want)
	}
	if !dt.IsQuantized() && uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(dt.Bytes(1)) != 0 {
		return nil, false
	}
	st := &storage{dev: d, scope: d.scope, borrowed: true}
	switch h, hosted := d.b.(Hosted); {
	case d.IsMeta():
		st.buf, _ = d.b.Alloc(0) // nothing never fails
	case hosted:
		st.buf = h.Borrow(data)
	default:
		return nil, false
	}
	if d.scope != nil {
		d.scope.owned = append(d.scope.owned, st)
	}
	return &Tensor{st: st, dtype: dt, shape: slices.Clone(shape), n: n}, true
}

// Borrowed reports whether the elements lie in memory that Borrow was given.
func (t *Tensor) Borrowed() bool { return t.must("borrowed").st.borrowed }
