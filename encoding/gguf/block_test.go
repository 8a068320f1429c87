package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/half"
)

// Blocks worked out by hand from the formulas at Append.
func TestKnownBlocks(t *testing.T) {
	block := func(rest float32, first ...float32) []float32 {
		return append(first, slices.Repeat([]float32{rest}, 32-len(first))...)
	}
	for _, c := range []struct {
		name   string
		typ    Type
		values []float32
		want   []byte // all but the scale; the last byte is repeated
		scale  uint16
		read   []float32 // the first elements read back
	}{
		// d = 2, 1/d = 0.5: halves go away from zero.
		{"Q8_0", Q8_0, block(0, -254, 254, 1, -1, 3, 0.99999994, 127), []byte{0x81, 127, 1, 0xff, 2, 0, 64, 0},
			0x4000, []float32{-254, 254, 2, -2, 4, 0, 128, 0}},
		{"Q8_0 zeros", Q8_0, block(0), []byte{0}, 0, []float32{0}},
		// The scale is below every F16, and 1/d is infinite.
		{"Q8_0 tiny", Q8_0, block(1e-44), []byte{0}, 0, []float32{0}},
		// 1/d of the float32 d: 127 steps, though the scale is 0 in F16.
		{"Q8_0 small", Q8_0, block(1e-12), []byte{127}, 0, []float32{0}},
		// d = 16 / -8 = -2: 16 is -8 steps; -16 would be 8, the most is 7; 0 and 1 are 8 and 8.5-0.5.
		{"Q4_0", Q4_0, block(0, 16, -16, 0, 1, 1.01, -3), []byte{0x80, 0x8f, 0x88, 0x88, 0x87, 0x8a, 0x88}, 0xc000,
			[]float32{16, -14, 0, 0, 2, -4, 0}},
		// Of -16 and 16, the first gives d its sign.
		{"Q4_0 sign", Q4_0, block(2, -16, 16), []byte{0x90, 0x9f, 0x99}, 0x4000, []float32{-16, 14, 2}},
		{"Q4_0 zeros", Q4_0, block(0), []byte{0x88}, 0x8000, []float32{0}},
	} {
		got, err := Append([]byte("x"), c.typ, c.values)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		_, size := c.typ.block()
		want := append([]byte("x"), byte(c.scale), byte(c.scale>>8))
		for len(want) < 1+size {
			want = append(want, c.want[min(len(want)-3, len(c.want)-1)])
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  % x\nwant % x", c.name, got, want)
		}
		read := make([]float32, 32)
		if err := decode(read, c.typ, want[1:]); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for i := range c.read {
			if read[i] != c.read[i] {
				t.Errorf("%s: element %d is read as %v, want %v", c.name, i, read[i], c.read[i])
			}
		}
	}
}

// Element i+16 of a Q4_0 block is the upper half of byte i.
func TestQ4Order(t *testing.T) {
	src := []byte{0x00, 0x3c}
	var want []float32
	for i := range 16 {
		src = append(src, byte(i|(15-i)<<4))
		want = append(want, float32(i-8))
	}
	want = append(want, want...)
	slices.Reverse(want[16:])
	got := make([]float32, 32)
	if err := decode(got, Q4_0, src); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, error %v\nwant %v", got, err, want)
	}
}

// What is read back is at most half a step away, the step being the block's scale, and
// the rounding of the scale to F16. Q4_0 has no 8: what is there becomes 7.
func TestQuantizationError(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []Type{Q8_0, Q4_0} {
		for range 200 {
			values := make([]float32, 2*32)
			scale := math.Exp(3 * r.NormFloat64())
			for i := range values {
				values[i] = float32(scale * r.NormFloat64())
			}
			x, err := FromFloat32s("x", typ, []int{2, 32}, values)
			if err != nil {
				t.Fatal(err)
			}
			got, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			_, size := typ.block()
			clamped := 0
			for i := range values {
				d := float64(half.FromF16(binary.LittleEndian.Uint16(x.Data[i/32*size:])))
				far := math.Abs(float64(got[i] - values[i]))
				if far <= math.Abs(d)/2+math.Abs(float64(values[i]))*0x1p-10+0x1p-18 {
					continue
				}
				if typ == Q4_0 && far <= 1.01*math.Abs(d) && float64(got[i]) == 7*d {
					clamped++
					continue
				}
				t.Fatalf("%s: %v was read back as %v, scale %v", typ, values[i], got[i], d)
			}
			if clamped > 16 {
				t.Errorf("%d of %d values clamped", clamped, len(values))
			}
		}
	}
}

func TestFloats(t *testing.T) {
	values := []float32{1, -2.5, 0, 65504, float32(math.Inf(1)), 0x1p-14}
	for _, typ := range []Type{F32, F16} {
		x, err := FromFloat32s("x", typ, []int{2, 3}, values)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := x.Float32s(); err != nil || !slices.Equal(got, values) {
			t.Errorf("%s: got %v, error %v", typ, got, err)
		}
	}
	x, _ := FromFloat32s("x", BF16, []int{2}, []float32{3.140625, 1 + 0x1p-8})
	if got, _ := x.Float32s(); !slices.Equal(got, []float32{3.140625, 1}) {
		t.Errorf("BF16: got %v", got)
	}
}

func TestQuantizingMistakes(t *testing.T) {
	inf, nan := float32(math.Inf(-1)), float32(math.NaN())
	with := func(x float32) []float32 { return append(make([]float32, 32-1), x) }
	for _, c := range []struct {
		typ    Type
		shape  []int
		values []float32
		want   string
	}{
		{Q8_0, []int{32}, with(inf), "a finite F16, got a value of -Inf at element 31"},
		{Q8_0, []int{32}, with(nan), "a value of NaN"},
		{Q4_0, []int{32}, append([]float32{nan}, with(1)[1:]...), "a value of NaN"},
		{Q4_0, []int{32}, with(8 * 65520), "a value of 524160"},
		{Q4_0, []int{2, 16}, make([]float32, 32), "a multiple of 32 elements"},
		{Q8_0, []int{}, make([]float32, 1), "a multiple of 32 elements"},
		{F32, []int{2, 2}, make([]float32, 3), "as many values as [2 2] has, got 3"},
		{F32, []int{-1}, nil, "fits 62 bits"},
		{10, []int{256}, make([]float32, 256), "got Q2_K"},
		{Q5_K, []int{256}, make([]float32, 256), "got Q5_K"},
		{99, []int{1}, make([]float32, 1), "got type 99"},
	} {
		if _, err := FromFloat32s("x", c.typ, c.shape, c.values); err == nil ||
			!strings.Contains(err.Error(), `tensor "x": want`) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: got error %v, want %q", c.typ, c.shape, err, c.want)
		}
	}
	if err := decode(make([]float32, 32), Q8_0, make([]byte, 35)); err == nil ||
		!strings.Contains(err.Error(), "34 bytes") {
		t.Errorf("got error %v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, typ := range []Type{F32, F16, BF16, Q8_0, Q4_0} {
		b.Run(typ.String(), func(b *testing.B) {
			values := benchmarkValues()
			data, err := Append(nil, typ, values)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(4 * len(values)))
			for b.Loop() {
				if err := decode(values, typ, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, typ := range []Type{F32, F16, BF16, Q8_0, Q4_0} {
		b.Run(typ.String(), func(b *testing.B) {
			values := benchmarkValues()
			dst := make([]byte, 0, 4*len(values))
			b.SetBytes(int64(4 * len(values)))
			for b.Loop() {
				if _, err := Append(dst, typ, values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkValues() []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, 1<<16)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}
