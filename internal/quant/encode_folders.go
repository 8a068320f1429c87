package quant

import (
	"encoding/binary"
	"math"
)

// betweenLevels are half way between the levels of NF4; a number on one goes down.
var betweenLevels = func() (middle [15]float32) {
	for i := range middle {
		middle[i] = (NormalFloat[i] + NormalFloat[i+1]) / 2
	}
	return middle
}()

// appendNF4: d = max|x|, and q the level nearest to x·(1/d), all in float32: what bitsandbytes makes without double
// quantization (its quantize_4bit). A block with an infinite number or a NaN is a *ScaleError.
func appendNF4(dst []byte, values []float32) ([]byte, error) {
	for ; len(values) >= 64; values = values[64:] {
		x := (*[64]float32)(values)
		most := extreme(x[:])
		d := abs(most)
		if !(d <= math.MaxFloat32) {
			return dst, &ScaleError{Value: most}
		}
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(d))
		inverse := 1 / max(d, 1e-38)
		for i := 0; i < 64; i += 2 {
			dst = append(dst, levelOf(x[i]*inverse)<<4|levelOf(x[i+1]*inverse))
		}
	}
	return dst, nil
}

// levelOf is the level of NF4 nearest to x.
func levelOf(x float32) (q byte) {
	for _, m := range betweenLevels {
		if x > m {
			q++
		}
	}
	return q
}
