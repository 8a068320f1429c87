// Package half converts between float32 and the 16-bit floats of model files: F16,
// which is IEEE 754 binary16, and BF16, the upper half of a float32.
package half

import (
	"encoding/binary"
	"math"
)

// FromF16 widens an F16, exactly.
func FromF16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0: // zero and subnormals: frac × 2^-24, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// ToF16 rounds to nearest, ties to even. What is too large becomes infinite, and NaN
// stays NaN.
func ToF16(f float32) uint16 {
	sign := uint16(math.Float32bits(f) >> 16 & 0x8000)
	u := math.Float32bits(f) &^ (1 << 31)
	switch {
	case u > 0xff<<23:
		return sign | 0x7e00
	case u >= 0x477ff000: // 65520, half way from the largest number to 2^16
		return sign | 0x7c00
	case u < 113<<23: // below 2^-14: adding 0.5 rounds to a multiple of 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(u)+0.5)-math.Float32bits(0.5))
	}
	u += 0xfff + u>>13&1 // rounds; a carry goes into the exponent, as it should
	return sign | uint16(u>>13-112<<10)
}

// FromBF16 widens a BF16, exactly.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 rounds to nearest, ties to even. NaN stays NaN.
func ToBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if f != f {
		return uint16(u>>16) | 0x40 // quiet, so that the fraction is not lost to zero
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// DecodeF16 widens little-endian F16s: 2*len(dst) bytes at any alignment.
func DecodeF16(dst []float32, src []byte) { decode(dst, src, FromF16) }

// DecodeBF16 is DecodeF16 for BF16.
func DecodeBF16(dst []float32, src []byte) { decode(dst, src, FromBF16) }

func decode(dst []float32, src []byte, widen func(uint16) float32) {
	for i := range dst {
		dst[i] = widen(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
