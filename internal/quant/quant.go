// Package quant converts between float32 and GGML's quantized blocks: 32 numbers that
// share a scale d, an F16 in the two bytes that come first. Every number of a block is
// q·d in float32:
//
//	Q8: q is a signed byte; number i is byte i behind the scale (GGML's Q8_0).
//	Q4: q is a number of four bits less 8; numbers i and i+16 are the lower and the
//	    upper half of byte i behind the scale (GGML's Q4_0).
package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/half"
)

// Len is how many numbers a block has, Q8Bytes and Q4Bytes how many bytes it takes.
const (
	Len     = 32
	Q8Bytes = 2 + Len
	Q4Bytes = 2 + Len/2
)

// DecodeQ8 widens blocks; src has Q8Bytes for every Len of dst.
func DecodeQ8(dst []float32, src []byte) {
	for ; len(dst) >= Len; src, dst = src[Q8Bytes:], dst[Len:] {
		b, x := (*[Q8Bytes]byte)(src), (*[Len]float32)(dst)
		d := half.FromF16(binary.LittleEndian.Uint16(b[:]))
		for i, q := range b[2:] {
			x[i] = float32(int8(q)) * d
		}
	}
}

// DecodeQ4 widens blocks; src has Q4Bytes for every Len of dst.
func DecodeQ4(dst []float32, src []byte) {
	for ; len(dst) >= Len; src, dst = src[Q4Bytes:], dst[Len:] {
		b, x := (*[Q4Bytes]byte)(src), (*[Len]float32)(dst)
		d := half.FromF16(binary.LittleEndian.Uint16(b[:]))
		for i, q := range b[2:] {
			x[i] = float32(int(q&15)-8) * d
			x[i+Len/2] = float32(int(q>>4)-8) * d
		}
	}
}

// AppendQ8 appends the blocks of values, whose number is a multiple of Len, as ggml's
// reference quantizer makes them: d = max|x| / 127 and q = x·(1/d), rounded to nearest,
// halves away from 0, all in float32 and with d not yet rounded to F16. A block whose
// scale is no finite F16 is a *ScaleError.
func AppendQ8(dst []byte, values []float32) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/Len*Q8Bytes)...)
	for ; len(values) >= Len; values, at = values[Len:], at+Q8Bytes {
		x, out := (*[Len]float32)(values), (*[Q8Bytes]byte)(dst[at:])
		most := extreme(x)
		inverse, h, ok := scale(abs(most / 127))
		if !ok {
			return dst[:at], &ScaleError{most}
		}
		binary.LittleEndian.PutUint16(out[:], h)
		for i, x := range x {
			q := float64(x * inverse)
			out[2+i] = byte(int(q + math.Copysign(0.5, q))) // float64 has room for the exact sum
		}
	}
	return dst, nil
}

// AppendQ4 is AppendQ8 for Q4: d = (the x of largest |x|) / -8 and q = x·(1/d) + 8.5,
// truncated, at most 15.
func AppendQ4(dst []byte, values []float32) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/Len*Q4Bytes)...)
	for ; len(values) >= Len; values, at = values[Len:], at+Q4Bytes {
		x, out := (*[Len]float32)(values), (*[Q4Bytes]byte)(dst[at:])
		most := extreme(x)
		inverse, h, ok := scale(most / -8)
		if !ok {
			return dst[:at], &ScaleError{most}
		}
		binary.LittleEndian.PutUint16(out[:], h)
		for i := range Len / 2 {
			// The conversions keep compilers from fusing product and sum, which rounds otherwise.
			low := min(15, int(float32(x[i]*inverse)+8.5))
			high := min(15, int(float32(x[i+Len/2]*inverse)+8.5))
			out[2+i] = byte(low | high<<4)
		}
	}
	return dst, nil
}

// ScaleError is a block that cannot be quantized.
type ScaleError struct {
	Value float32 // the largest in the block, or NaN
}

func (e *ScaleError) Error() string {
	return fmt.Sprintf("quant: want a block whose scale is a finite F16, got a value of %v", e.Value)
}

// scale is 1/d and d in F16; false if that is not finite.
func scale(d float32) (inverse float32, h uint16, ok bool) {
	h = half.ToF16(d)
	inverse = 1 / d
	if d == 0 || abs(inverse) > math.MaxFloat32 {
		inverse = 0 // ggml's reference leaves the latter open; the scale is 0 in F16
	}
	return inverse, h, h&0x7fff < 0x7c00
}

// extreme is the first of the values of largest magnitude, or a NaN if there is one.
func extreme(values *[Len]float32) float32 {
	var most float32
	for _, x := range values {
		if !(abs(x) <= abs(most)) {
			most = x
			if x != x {
				break
			}
		}
	}
	return most
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
