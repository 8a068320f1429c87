package tensor

import (
	"fmt"
	"unsafe"

	"github.com/agora-ml/agora/internal/half"
)

// FromFloat32s makes a tensor from host numbers, rounded to dt: to nearest even, or to
// blocks as Quantize does.
func (d *Device) FromFloat32s(dt DType, data []float32, shape ...int) *Tensor {
	t := d.New(dt, shape...)
	t.SetFloat32s(data)
	return t
}

// FromFloat64s is FromFloat32s for float64; to f16 and bf16 it rounds by way of f32.
func (d *Device) FromFloat64s(dt DType, data []float64, shape ...int) *Tensor {
	t := d.New(dt, shape...)
	if dt == F64 {
		t.setBytes(bytesOf(data), len(data))
		return t
	}
	narrow := make([]float32, len(data))
	for i, v := range data {
		narrow[i] = float32(v)
	}
	t.SetFloat32s(narrow)
	return t
}

// FromInt32s makes an i32 tensor.
func (d *Device) FromInt32s(data []int32, shape ...int) *Tensor {
	t := d.New(I32, shape...)
	t.setBytes(bytesOf(data), len(data))
	return t
}

// FromBytes makes a tensor from elements already in dt's own bytes (little-endian).
func (d *Device) FromBytes(dt DType, data []byte, shape ...int) *Tensor {
	dt.mustBeKnown("from bytes")
	if want := dt.Bytes(Numel(shape)); len(data) != want {
		Panicf("from_bytes", "%d bytes for %s%v, want %d", len(data), dt, shape, want)
	}
	t := d.New(dt, shape...)
	t.setBytes(data, t.n)
	return t
}

// SetBytes overwrites the elements with others in the dtype's own bytes (little-endian).
func (t *Tensor) SetBytes(data []byte) {
	t.must("set")
	if len(data) != t.Bytes() {
		Panicf("set", "%d bytes for %s, want %d", len(data), t, t.Bytes())
	}
	t.setBytes(data, t.n)
}

// SetFloat32s overwrites the elements of a float or quantized tensor.
func (t *Tensor) SetFloat32s(data []float32) {
	t.must("set")
	switch t.dtype {
	case F32:
		t.setBytes(bytesOf(data), len(data))
	case F64:
		t.setBytes(bytesOf(convert(data, func(f float32) float64 { return float64(f) })), len(data))
	case F16:
		t.setBytes(bytesOf(convert(data, half.ToF16)), len(data))
	case BF16:
		t.setBytes(bytesOf(convert(data, half.ToBF16)), len(data))
	case I32:
		Panicf("set", "%s is not a float tensor", t)
	default:
		blocks, err := t.dtype.Quantize(make([]byte, 0, t.Bytes()), data)
		if err != nil {
			Panicf("set", "%s: %v", t, err)
		}
		t.setBytes(blocks, len(data))
	}
}

func (t *Tensor) setBytes(data []byte, n int) {
	t.mustLive("set")
	if t.st.borrowed {
		Panicf("set", "%s is borrowed memory, which is only read", t)
	}
	if n != t.n {
		Panicf("set", "%d elements for %s, which has %d", n, t, t.n)
	}
	t.st.version++
	t.st.dev.spoil()
	if t.st.dev.err == nil {
		t.st.dev.b.Write(t.st.buf, t.off, data)
	}
}

// Float32s reads a float or quantized tensor, after all work asked before.
func (t *Tensor) Float32s() ([]float32, error) {
	t.must("read")
	switch t.dtype {
	case F32:
		return read[float32](t)
	case F64:
		return widened(t, func(f float64) float32 { return float32(f) })
	case F16:
		return widened(t, half.FromF16)
	case BF16:
		return widened(t, half.FromBF16)
	case I32:
		Panicf("read", "%s is not a float tensor", t)
	}
	blocks, err := t.RawBytes()
	if err != nil {
		return nil, err
	}
	values := make([]float32, t.n)
	t.dtype.Decode(values, blocks)
	return values, nil
}

// ReadFloat32s is Float32s into memory of the caller's, which must have as many elements.
func (t *Tensor) ReadFloat32s(into []float32) error {
	if t.must("read"); len(into) != t.n {
		Panicf("read", "%s into %d numbers: want %d", t, len(into), t.n)
	}
	if t.dtype == F32 {
		return t.st.dev.read([][]byte{bytesOf(into)}, t)
	}
	if t.dtype.Is16Bit() { // what is stored has room in the second half, where a number is read before another is written
		stored := bytesOf(into)[2*t.n:]
		err := t.st.dev.read([][]byte{stored}, t)
		t.dtype.Decode(into, stored)
		return err
	}
	values, err := t.Float32s()
	copy(into, values)
	return err
}

// Float64s is Float32s in float64; an f64 tensor loses nothing.
func (t *Tensor) Float64s() ([]float64, error) {
	t.must("read")
	values, err := t.st.dev.Float64s(t)
	return values[0], err
}

// Float64s reads several float or quantized tensors of the device, after all work asked
// before. It waits once for them all.
func (d *Device) Float64s(ts ...*Tensor) ([][]float64, error) {
	stored, values := make([][]byte, len(ts)), make([][]float64, len(ts))
	d.must("read")
	for i, t := range ts {
		if t.must("read"); !t.dtype.IsFloat() && !t.dtype.IsQuantized() {
			Panicf("read", "%s is not a float tensor", t)
		}
		stored[i] = make([]byte, t.Bytes())
	}
	err := d.read(stored, ts...)
	for i, t := range ts {
		values[i] = t.dtype.float64s(stored[i], t.n)
	}
	return values, err
}

// Int32s reads an i32 tensor.
func (t *Tensor) Int32s() ([]int32, error) {
	t.must("read")
	if t.dtype != I32 {
		Panicf("read", "%s is not an i32 tensor", t)
	}
	return read[int32](t)
}

// RawBytes reads the elements as they are stored.
func (t *Tensor) RawBytes() ([]byte, error) {
	t.must("read")
	dst := make([]byte, t.Bytes())
	return dst, t.st.dev.read([][]byte{dst}, t)
}

func read[E any](t *Tensor) ([]E, error) {
	dst := make([]E, t.n)
	return dst, t.st.dev.read([][]byte{bytesOf(dst)}, t)
}

// read fetches the whole of tensors, each to its own dst.
func (d *Device) read(dst [][]byte, ts ...*Tensor) error {
	d.spoil()
	reads := make([]Read, len(ts))
	for i, t := range ts {
		t.mustLive("read")
		if t.st.dev != d {
			Panicf("read", "%s lives on another device", t)
		}
		reads[i] = Read{dst[i], t.st.buf, t.off}
	}
	if d.err == nil {
		if err := d.b.Read(reads...); err != nil {
			d.SetErr(fmt.Errorf("reading %s: %w", ts, err))
		}
	}
	return d.err
}

func widened[E, F any](t *Tensor, f func(E) F) ([]F, error) {
	data, err := read[E](t)
	return convert(data, f), err
}

func convert[E, F any](data []E, f func(E) F) []F {
	out := make([]F, len(data))
	for i, v := range data {
		out[i] = f(v)
	}
	return out
}

func bytesOf[E any](s []E) []byte {
	var e E
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(e)))
}
