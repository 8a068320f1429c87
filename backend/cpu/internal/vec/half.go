package vec

import "math"

// FromBF16 widens bfloat16 to float32, exactly.
func FromBF16(dst []float32, src []uint16) {
	same("FromBF16", len(dst), len(src))
	fromBF16(dst, src)
}

func fromBF16Go(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(src[i]) << 16)
	}
}

// ToBF16 rounds float32 to bfloat16, to nearest even. NaN stays NaN.
func ToBF16(dst []uint16, src []float32) {
	same("ToBF16", len(dst), len(src))
	toBF16(dst, src)
}

func toBF16Go(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		b := math.Float32bits(src[i])
		if b&0x7fffffff > 0x7f800000 {
			dst[i] = uint16(b>>16) | 0x40 // rounding could carry a NaN into Inf
			continue
		}
		dst[i] = uint16((b + 0x7fff + b>>16&1) >> 16)
	}
}

// FromF16 widens IEEE half precision to float32, exactly; NaN become quiet.
func FromF16(dst []float32, src []uint16) {
	same("FromF16", len(dst), len(src))
	fromF16(dst, src)
}

func fromF16Go(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = f16to32(src[i])
	}
}

func f16to32(h uint16) float32 {
	sign, mag := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case mag > 0x7c00:
		return math.Float32frombits(sign | 0x7fc00000 | mag<<13)
	case mag == 0x7c00:
		return math.Float32frombits(sign | 0x7f800000)
	}
	// The bits read as float32 are the value times 2^-112, subnormals included.
	f := math.Float32frombits(mag<<13) * 0x1p112
	return math.Float32frombits(sign | math.Float32bits(f))
}

// ToF16 rounds float32 to IEEE half precision, to nearest even: subnormals are
// kept, 65520 and beyond become Inf, NaN stays NaN.
func ToF16(dst []uint16, src []float32) {
	same("ToF16", len(dst), len(src))
	toF16(dst, src)
}

func toF16Go(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = f32to16(src[i])
	}
}

func f32to16(f float32) uint16 {
	b := math.Float32bits(f)
	sign, mag := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return sign | 0x7e00 | uint16(mag>>13&0x3ff)
	case mag >= 0x477ff000: // 65520
		return sign | 0x7c00
	case mag < 0x38800000: // below 2^-14: the sum's lowest bit is worth 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(mag)+0.5))
	}
	return sign | uint16((mag+0xfff+mag>>13&1)>>13-112<<10)
}
