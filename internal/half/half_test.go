package half

import (
	"math"
	"testing"
)

// Every 16-bit float survives the way to float32 and back; between two neighbors the
// nearer one is taken, and at the middle the one whose last bit is 0.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		name     string
		from     func(uint16) float32
		to       func(float32) uint16
		infinity uint16
	}{
		{"F16", FromF16, ToF16, 0x7c00},
		{"BF16", FromBF16, ToBF16, 0x7f80},
	} {
		for h := range uint16(c.infinity) {
			low, high := c.from(h), c.from(h+1)
			middle := float32((float64(low) + float64(high)) / 2)
			if h+1 == c.infinity { // the next number, were there one
				middle = float32(float64(low) + (float64(low)-float64(c.from(h-1)))/2)
			}
			even := h + h&1
			for _, x := range []struct {
				f    float32
				want uint16
			}{
				{low, h},
				{middle, even},
				{math.Nextafter32(middle, 0), h},
				{math.Nextafter32(middle, float32(math.Inf(1))), h + 1},
			} {
				if got, minus := c.to(x.f), c.to(-x.f); got != x.want || minus != x.want|0x8000 {
					t.Fatalf("%s of ±%v: %04x and %04x, want %04x", c.name, x.f, got, minus, x.want)
				}
			}
		}
		if got := c.from(c.infinity); !math.IsInf(float64(got), 1) || c.to(got) != c.infinity {
			t.Errorf("%s: infinity is read as %v and written as %04x", c.name, got, c.to(got))
		}
		for _, bits := range []uint32{0x7f800001, 0x7fc00000, 0xffffffff} {
			if nan := c.from(c.to(math.Float32frombits(bits))); nan == nan {
				t.Errorf("%s: NaN %08x became %v", c.name, bits, nan)
			}
		}
	}
}

func TestKnownValues(t *testing.T) {
	for h, want := range map[uint16]float32{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0400: 0x1p-14, 0x0001: 0x1p-24} {
		if got := FromF16(h); got != want {
			t.Errorf("F16 %04x is %v, want %v", h, got, want)
		}
	}
	if got := FromBF16(0xc049); got != -3.140625 {
		t.Errorf("BF16 c049 is %v, want -3.140625", got)
	}
}
