package quant

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// Blocks written down by hand: scale 0.5 is 0x3800 in F16.
func TestDecode(t *testing.T) {
	q8 := append([]byte{0x00, 0x38}, make([]byte, Len)...)
	q8[2], q8[3], q8[33] = 127, 0x80, 0xff
	got := make([]float32, Len)
	DecodeQ8(got, q8)
	want := make([]float32, Len)
	want[0], want[1], want[31] = 63.5, -64, -0.5
	if !slices.Equal(got, want) {
		t.Errorf("Q8: %v, want %v", got, want)
	}
	q4 := append([]byte{0x00, 0x38}, slices.Repeat([]byte{0x88}, Len/2)...)
	q4[2], q4[17] = 0xf0, 0x19
	DecodeQ4(got, q4)
	clear(want)
	want[0], want[16], want[15], want[31] = -4, 3.5, 0.5, -3.5
	if !slices.Equal(got, want) {
		t.Errorf("Q4: %v, want %v", got, want)
	}
}

// Multiples of a scale come back as they were, and what has no finite scale is an error
// that leaves the blocks before it.
func TestAppend(t *testing.T) {
	for name, c := range map[string]struct {
		append func([]byte, []float32) ([]byte, error)
		decode func([]float32, []byte)
		most   int // the largest q
		bytes  int
	}{"Q8": {AppendQ8, DecodeQ8, 127, Q8Bytes}, "Q4": {AppendQ4, DecodeQ4, -8, Q4Bytes}} {
		values := make([]float32, 2*Len)
		for i := range values {
			values[i] = 0.25 * float32((i*5)%15-7)
		}
		values[3], values[40] = 0.25*float32(c.most), 0.25*float32(c.most)
		blocks, err := c.append([]byte{9}, values)
		if err != nil || len(blocks) != 1+2*c.bytes || blocks[0] != 9 {
			t.Fatalf("%s: %d bytes, error %v", name, len(blocks), err)
		}
		got := make([]float32, len(values))
		c.decode(got, blocks[1:])
		if !slices.Equal(got, values) {
			t.Errorf("%s: %v, want %v", name, got, values)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), 1e30} {
			values[50] = float32(bad)
			blocks, err := c.append(nil, values)
			if e := (*ScaleError)(nil); !errors.As(err, &e) || len(blocks) != c.bytes {
				t.Errorf("%s with %v: %d bytes, error %v", name, bad, len(blocks), err)
			}
		}
	}
}
