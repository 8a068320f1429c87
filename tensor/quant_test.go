package tensor

import (
	"math"
	"slices"
	"testing"
)

// A quantized tensor holds ggml's blocks, gives d·q for each number, and is cut and
// reshaped only between blocks.
func TestQuantized(t *testing.T) {
	d := NewDevice(&fake{})
	defer d.Scope().Close()
	values := make([]float32, 3*64)
	for i := range values {
		values[i] = float32(i%16-8) / 4 // multiples of q4's scale of 1/4
	}
	for _, c := range []struct {
		dt    DType
		bytes int
		far   float64 // half of the largest scale
	}{{Q8, 6 * 34, 2.0 / 254}, {Q4, 6 * 18, 1e-9}} {
		x := d.FromFloat32s(c.dt, values, 3, 64)
		raw, err := x.RawBytes()
		if err != nil || len(raw) != c.bytes || x.Bytes() != c.bytes {
			t.Fatalf("%s: %d bytes, error %v, want %d", x, len(raw), err, c.bytes)
		}
		got, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if math.Abs(float64(got[i]-v)) > c.far {
				t.Fatalf("%s: element %d is %v, want %v", x, i, got[i], v)
			}
		}
		again := d.FromBytes(c.dt, raw, 3, 64)
		row, err := again.View(64, 2, 32).Float32s()
		if err != nil || !slices.Equal(row, got[64:128]) {
			t.Errorf("%s: the second row is %v, error %v, want %v", x, row, err, got[64:128])
		}
		name := c.dt.String()
		mustPanic(t, name+"[64 3]: want a last dimension that is a multiple of 32", func() { x.Reshape(64, 3) })
		mustPanic(t, name+"[16]: want a last dimension", func() { x.View(0, 16) })
		mustPanic(t, "whole number of "+name+" blocks", func() { x.View(16, 32) })
		mustPanic(t, name+"[2 48]: want a last dimension", func() { d.New(c.dt, 2, 48) })
		mustPanic(t, "bytes for "+name+"[3 64], want", func() { d.FromBytes(c.dt, raw[1:], 3, 64) })
		mustPanic(t, "finite F16", func() {
			d.FromFloat32s(c.dt, slices.Repeat([]float32{float32(math.NaN())}, 32), 32)
		})
	}
	if _, err := F32.Quantize(nil, values); err == nil {
		t.Error("f32 has no blocks, but Quantize made some")
	}
}
