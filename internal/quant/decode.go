package quant

import (
	"encoding/binary"

	"github.com/agora-ml/agora/internal/half"
)

// Blocks of 32 numbers begin with their scale d, and those that end in _1 then have a
// least number m, both in F16. A product q·d is exact in float32, so that only the sum with m
// rounds. The conversions keep compilers from fusing them all the same.

// scale is the F16 at the beginning of b.
func scale(b []byte) float32 { return half.FromF16(binary.LittleEndian.Uint16(b)) }

// decodeQ8_0: number i is d times the signed byte i.
func decodeQ8_0(x []float32, b []byte) {
	d := scale(b)
	for i, q := range b[2:34] {
		x[i] = float32(int8(q)) * d
	}
}

// nibbles calls f for the four bits of all 32 numbers: i and i+16 are the lower and the upper
// half of byte i.
func nibbles(b []byte, f func(i int, q byte)) {
	for i, q := range b[:16] {
		f(i, q&15)
		f(i+16, q>>4)
	}
}

// decodeQ4_0: (q - 8) d.
func decodeQ4_0(x []float32, b []byte) {
	d := scale(b)
	for i, q := range b[2:18] {
		x[i] = float32(int(q&15)-8) * d
		x[i+16] = float32(int(q>>4)-8) * d
	}
}

// decodeQ4_1: q d + m.
func decodeQ4_1(x []float32, b []byte) {
	d, m := scale(b), scale(b[2:])
	nibbles(b[4:], func(i int, q byte) { x[i] = float32(float32(q)*d) + m })
}

// decodeQ5_0: (q - 16) d; bit i of the word behind d is the fifth bit of number i.
func decodeQ5_0(x []float32, b []byte) {
	d, fifth := scale(b), binary.LittleEndian.Uint32(b[2:])
	nibbles(b[6:], func(i int, q byte) { x[i] = float32(int(q)|int(fifth>>i&1)<<4-16) * d })
}

// decodeQ5_1: q d + m, q as in Q5_0.
func decodeQ5_1(x []float32, b []byte) {
	d, m, fifth := scale(b), scale(b[2:]), binary.LittleEndian.Uint32(b[4:])
	nibbles(b[8:], func(i int, q byte) { x[i] = float32(float32(int(q)|int(fifth>>i&1)<<4)*d) + m })
}

// NonLinear are the sixteen levels of IQ4_NL, denser around zero as weights are.
var NonLinear = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// decodeIQ4_NL: NonLinear[q] d.
func decodeIQ4_NL(x []float32, b []byte) {
	d := scale(b)
	nibbles(b[2:], func(i int, q byte) { x[i] = float32(NonLinear[q]) * d })
}
