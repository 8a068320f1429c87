package quant

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every kind widens to the bits that llama.cpp widens it to, or PyTorch multiplies: blocks of quantized numbers and
// blocks of random bits. tools/golden/blocks.py makes the files.
func TestGolden(t *testing.T) {
	const n = 1024
	for typ := range Types {
		data, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(typ.String())+".blocks"))
		if err != nil {
			t.Fatal(err)
		}
		blocks := data[:typ.Bytes(n)]
		want := data[len(blocks):]
		if len(want) != 4*n {
			t.Fatalf("%s: %d bytes of float32, want %d", typ, len(want), 4*n)
		}
		if err := typ.Check(blocks); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		got := make([]float32, n)
		typ.Decode(got, blocks)
		for i, x := range got {
			if w := binary.LittleEndian.Uint32(want[4*i:]); math.Float32bits(x) != w {
				t.Errorf("%s: number %d is %v, want %v", typ, i, x, math.Float32frombits(w))
				break
			}
		}
	}
}

// Each scale of a block must be finite, and the error says which block's is not; so must its numbers be.
func TestCheck(t *testing.T) {
	for typ := range Types {
		for _, bits := range []uint32{0x7f800000, 0xff800000, 0x7fc00001} {
			blocks := make([]byte, typ.Bytes(3*typ.Len()))
			binary.LittleEndian.PutUint32(blocks[typ.Bytes(typ.Len()):], bits)
			if err := typ.Check(blocks); formats[typ].scales == nil && (err == nil || !strings.Contains(err.Error(), "in block 1")) {
				t.Errorf("%s with %#x for a scale: error %v", typ, bits, err)
			}
		}
		for _, at := range formats[typ].scales {
			for _, h := range []uint16{0x7c00, 0xfc00, 0x7e01} {
				blocks := make([]byte, typ.Bytes(3*typ.Len()))
				binary.LittleEndian.PutUint16(blocks[typ.Bytes(typ.Len())+at:], h)
				if err := typ.Check(blocks); err == nil || !strings.Contains(err.Error(), "in block 1") {
					t.Errorf("%s with %#x at %d: error %v", typ, h, at, err)
				}
			}
		}
	}
}

// FP8's numbers may be NaN as well, and its largest number times a scale must be one.
func TestCheckFP8(t *testing.T) {
	for at, b := range map[int]byte{4: 0x7f, 131: 0xff, 3: 0x7d} { // the last is the scale's highest byte
		blocks := make([]byte, FP8.Bytes(2*FP8.Len()))
		blocks[FP8.Bytes(FP8.Len())+at] = b
		if err := FP8.Check(blocks); err == nil || !strings.Contains(err.Error(), "in block 1") {
			t.Errorf("%#x at %d: error %v", b, at, err)
		}
	}
}

// All 256 codes of E4M3 against its definition: (-1)^s 2^(e-7) (1 + m/8), and 2^-6 m/8 where e is 0.
func TestE4M3(t *testing.T) {
	for code := range 256 {
		e, m := code>>3&15, float64(code&7)/8
		want := math.Ldexp(1+m, e-7)
		switch {
		case e == 0:
			want = math.Ldexp(m, -6)
		case code&127 == 127:
			want = math.NaN()
		}
		if code > 127 {
			want = -want
		}
		got := FromE4M3(byte(code))
		if math.Float64bits(float64(got)) != math.Float64bits(want) && !(got != got && want != want) {
			t.Errorf("%#02x is %v, want %v", code, got, want)
		}
	}
}
