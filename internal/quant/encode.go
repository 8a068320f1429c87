package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/half"
)

// appendQ8_0: d = max|x| / 127 and q = x·(1/d), rounded to nearest,
// halves away from 0, all in float32 and with d not yet rounded to F16. A block whose
// scale is no finite F16 is a *ScaleError.
func appendQ8_0(dst []byte, values []float32) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/32*34)...)
	for ; len(values) >= 32; values, at = values[32:], at+34 {
		x, out := (*[32]float32)(values), (*[34]byte)(dst[at:])
		most := extreme(x[:])
		inverse, h, ok := inverseScale(abs(most / 127))
		if !ok {
			return dst[:at], &ScaleError{Value: most}
		}
		binary.LittleEndian.PutUint16(out[:], h)
		for i, x := range x {
			q := float64(x * inverse)
			out[2+i] = byte(int(q + math.Copysign(0.5, q))) // float64 has room for the exact sum
		}
	}
	return dst, nil
}

// appendQ4_0: d = (the x of largest |x|) / -8 and q = x·(1/d) + 8.5,
// truncated, at most 15.
func appendQ4_0(dst []byte, values []float32) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/32*18)...)
	for ; len(values) >= 32; values, at = values[32:], at+18 {
		x, out := (*[32]float32)(values), (*[18]byte)(dst[at:])
		most := extreme(x[:])
		inverse, h, ok := inverseScale(most / -8)
		if !ok {
			return dst[:at], &ScaleError{Value: most}
		}
		binary.LittleEndian.PutUint16(out[:], h)
		for i := range 32 / 2 {
			// The conversions keep compilers from fusing product and sum, which rounds otherwise.
			low := min(15, int(float32(x[i]*inverse)+8.5))
			high := min(15, int(float32(x[i+16]*inverse)+8.5))
			out[2+i] = byte(low | high<<4)
		}
	}
	return dst, nil
}

// ScaleError is a block that cannot be quantized.
type ScaleError struct {
	Value float32 // the largest in the block, or NaN
	At    int     // where it is among all values
}

func (e *ScaleError) Error() string {
	return fmt.Sprintf("quant: want a block whose scale is a finite F16, got a value of %v at element %d", e.Value, e.At)
}

// inverseScale is 1/d and d in F16; false if that is not finite.
func inverseScale(d float32) (inverse float32, h uint16, ok bool) {
	h = half.ToF16(d)
	inverse = 1 / d
	if d == 0 || abs(inverse) > math.MaxFloat32 {
		inverse = 0 // ggml's reference leaves the latter open; the scale is 0 in F16
	}
	return inverse, h, h&0x7fff < 0x7c00
}

// extreme is the first of the values of largest magnitude, or a NaN if there is one.
func extreme(values []float32) float32 {
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
