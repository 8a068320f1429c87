//go:build cgo && linux && (amd64 || arm64)

package vulkantest

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/shaders"
)

// halves are the f16 numbers from 0 up to 2^16, which is stored as infinity; the index is the bit pattern.
var halves = func() []float64 {
	list := make([]float64, 0x7c01)
	for i := range list {
		e, m := i>>10, i&0x3ff
		list[i] = math.Ldexp(float64(m+0x400*min(e, 1)), max(e, 1)-25)
	}
	return list
}()

// bfloats are the bf16 numbers from 2^-20 to 2^20.
var bfloats = func() (list []float64) {
	for h := uint32(107 << 7); h <= 147<<7; h++ {
		list = append(list, float64(math.Float32frombits(h<<16)))
	}
	return list
}()

// encode appends v in its storage type. Inputs of f16 go to the nearest half, of bf16 to the one below.
func encode(storage int, b []byte, v float64) []byte {
	switch storage {
	case f16:
		i, _ := slices.BinarySearch(halves, math.Abs(v))
		if i > 0 && math.Abs(v)-halves[i-1] < halves[i]-math.Abs(v) {
			i--
		}
		return binary.LittleEndian.AppendUint16(b, uint16(i)|uint16(math.Float32bits(float32(v))>>31<<15))
	case bf16:
		return binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(float32(v))>>16))
	}
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
}

func decode(storage int, b []byte, i int) float64 {
	if storage == f32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	h := binary.LittleEndian.Uint16(b[2*i:])
	switch {
	case storage == bf16:
		return float64(math.Float32frombits(uint32(h) << 16))
	case h&0x7fff >= 0x7c00:
		return math.NaN()
	}
	return halves[h&0x7fff] * (1 - 2*float64(h>>15))
}

// TestRounding adds numbers to 0: each 16-bit number, the middle between it and the next one, and the neighbours of that.
func TestRounding(t *testing.T) {
	d := testDevice(t)
	const a, b = 2 << 20, 4 << 20
	for storage, numbers := range map[uint32][]float64{f16: halves, bf16: bfloats} {
		n := 0
		for i, v := range numbers[:len(numbers)-1] {
			middle := float32(v+numbers[i+1]) / 2
			for _, f := range []float32{float32(v), math.Nextafter32(middle, 0), middle, math.Nextafter32(middle, 1e9)} {
				binary.LittleEndian.PutUint32(d.memory[b+4*n:], math.Float32bits(f))
				n++
			}
		}
		clear(d.memory[a : a+2*n])
		if err := d.run(shaders.Add{N: n, M: n}, shaders.Tile{64, 256}, []arg{{0, storage}, {a, storage}, {b, f32}}); err != nil {
			t.Fatal(err)
		}
		first := binary.LittleEndian.Uint16(encode(int(storage), nil, numbers[0]))
		for i := range n {
			below := int(first) + i/4
			want := below + []int{0, 0, below & 1, 1}[i%4] // ties to even
			if got := int(binary.LittleEndian.Uint16(d.memory[2*i:])); got != want {
				t.Fatalf("storage %d: %#x stored as %#x, want %#x", storage, d.memory[b+4*i:][:4], got, want)
			}
		}
	}
}
