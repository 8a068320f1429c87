package quant

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// Blocks written down by hand: scale 0.5 is 0x3800 in F16.
func TestDecode(t *testing.T) {
	q8 := append([]byte{0x00, 0x38}, make([]byte, 32)...)
	q8[2], q8[3], q8[33] = 127, 0x80, 0xff
	got := make([]float32, 32)
	Q8_0.Decode(got, q8)
	want := make([]float32, 32)
	want[0], want[1], want[31] = 63.5, -64, -0.5
	if !slices.Equal(got, want) {
		t.Errorf("Q8: %v, want %v", got, want)
	}
	q4 := append([]byte{0x00, 0x38}, slices.Repeat([]byte{0x88}, 16)...)
	q4[2], q4[17] = 0xf0, 0x19
	Q4_0.Decode(got, q4)
	clear(want)
	want[0], want[16], want[15], want[31] = -4, 3.5, 0.5, -3.5
	if !slices.Equal(got, want) {
		t.Errorf("Q4: %v, want %v", got, want)
	}
}

// Multiples of a scale come back as they were, and what has no finite scale is an error
// that leaves the blocks before it.
func TestAppend(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		most int // the largest q
	}{{Q8_0, 127}, {Q4_0, -8}} {
		name, size := c.typ.String(), c.typ.Bytes(32)
		values := make([]float32, 2*32)
		for i := range values {
			values[i] = 0.25 * float32((i*5)%15-7)
		}
		values[3], values[40] = 0.25*float32(c.most), 0.25*float32(c.most)
		blocks, err := c.typ.Append([]byte{9}, values)
		if err != nil || len(blocks) != 1+2*size || blocks[0] != 9 {
			t.Fatalf("%s: %d bytes, error %v", name, len(blocks), err)
		}
		got := make([]float32, len(values))
		c.typ.Decode(got, blocks[1:])
		if !slices.Equal(got, values) {
			t.Errorf("%s: %v, want %v", name, got, values)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), 1e30} {
			values[50] = float32(bad)
			blocks, err := c.typ.Append(nil, values)
			if e := (*ScaleError)(nil); !errors.As(err, &e) || len(blocks) != size || e.At != 50 {
				t.Errorf("%s with %v: %d bytes, error %v", name, bad, len(blocks), err)
			}
		}
	}
}
