package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/agora-ml/agora/encoding/half"
)

// blockLen is the number of elements of a block of Q8_0 and of Q4_0.
const blockLen = 32

// Decode widens the bytes of any of the five types to float32. Every element of a
// block is q·d, d being the block's scale, in the two bytes that come first:
//
//	Q8_0: q is a signed byte; element i is byte i behind the scale.
//	Q4_0: q is a number of four bits less 8; elements i and i+16 are the lower and
//	      the upper half of byte i behind the scale.
func Decode(dst []float32, typ Type, src []byte) error {
	if err := fits(typ, len(dst)); err != nil {
		return err
	}
	block, bytes := typ.Block()
	if want := len(dst) / block * bytes; len(src) != want {
		return &Error{Want: fmt.Sprintf("%d bytes for %d elements of %s", want, len(dst), typ), Got: fmt.Sprint(len(src))}
	}
	le := binary.LittleEndian
	switch typ {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = half.FromF16(le.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = half.FromBF16(le.Uint16(src[2*i:]))
		}
	case Q8_0:
		for ; len(src) > 0; src, dst = src[34:], dst[blockLen:] {
			d, q, x := half.FromF16(le.Uint16(src)), src[2:34], dst[:blockLen]
			for i, q := range q {
				x[i] = float32(int8(q)) * d
			}
		}
	case Q4_0:
		for ; len(src) > 0; src, dst = src[18:], dst[blockLen:] {
			d, q, x := half.FromF16(le.Uint16(src)), src[2:18], dst[:blockLen]
			for i, q := range q {
				x[i] = float32(int(q&15)-8) * d
				x[i+16] = float32(int(q>>4)-8) * d
			}
		}
	}
	return nil
}

// Append appends values in any of the five types to dst. Blocks are those of ggml's
// reference quantisers, everything in float32 but the scale d, which is stored in F16;
// q uses 1/d before that rounding:
//
//	Q8_0: d = max|x| / 127;           q = x·(1/d), rounded to nearest, halves away from 0
//	Q4_0: d = (x of largest |x|) / -8; q = x·(1/d) + 8.5, truncated, at most 15
//
// Blocks whose scale is no finite F16 are an error.
func Append(dst []byte, typ Type, values []float32) ([]byte, error) {
	if err := fits(typ, len(values)); err != nil {
		return dst, err
	}
	le := binary.LittleEndian
	switch typ {
	case F32:
		for _, x := range values {
			dst = le.AppendUint32(dst, math.Float32bits(x))
		}
		return dst, nil
	case F16:
		for _, x := range values {
			dst = le.AppendUint16(dst, half.ToF16(x))
		}
		return dst, nil
	case BF16:
		for _, x := range values {
			dst = le.AppendUint16(dst, half.ToBF16(x))
		}
		return dst, nil
	}
	quants, divisor := quants8, float32(127)
	if typ == Q4_0 {
		quants, divisor = quants4, -8
	}
	_, size := typ.Block()
	at := len(dst)
	dst = append(dst, make([]byte, len(values)/blockLen*size)...)
	for ; len(values) > 0; values, at = values[blockLen:], at+size {
		block := (*[blockLen]float32)(values)
		most := extreme(block)
		d := most / divisor
		if typ == Q8_0 {
			d = abs(d)
		}
		h := half.ToF16(d)
		if h&0x7fff >= 0x7c00 {
			return dst[:at], &Error{Want: fmt.Sprintf("blocks of %s whose scale is a finite F16", typ), Got: fmt.Sprintf("a value of %v", most)}
		}
		inverse := 1 / d
		if d == 0 || abs(inverse) > math.MaxFloat32 {
			inverse = 0 // ggml's reference leaves the latter open; the scale is 0 in F16
		}
		le.PutUint16(dst[at:], h)
		quants(dst[at+2:at+size], block, inverse)
	}
	return dst, nil
}

func quants8(dst []byte, x *[blockLen]float32, inverse float32) {
	out := (*[blockLen]byte)(dst)
	for i, x := range x {
		q := float64(x * inverse)
		out[i] = byte(int(q + math.Copysign(0.5, q))) // float64 has room for the exact sum
	}
}

func quants4(dst []byte, x *[blockLen]float32, inverse float32) {
	out := (*[blockLen / 2]byte)(dst)
	for i := range out {
		// The conversions keep compilers from fusing product and sum, which rounds otherwise.
		low := min(15, int(float32(x[i]*inverse)+8.5))
		high := min(15, int(float32(x[i+blockLen/2]*inverse)+8.5))
		out[i] = byte(low | high<<4)
	}
}

// extreme is the first of the values of largest magnitude, or a NaN if there is one.
func extreme(values *[blockLen]float32) float32 {
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

// fits checks that the type is one of the five and that n elements are whole blocks.
func fits(typ Type, n int) error {
	switch typ {
	case F32, F16, BF16:
	case Q8_0, Q4_0:
		if n%blockLen != 0 {
			return &Error{Want: fmt.Sprintf("a multiple of %d elements for %s", blockLen, typ), Got: fmt.Sprint(n)}
		}
	default:
		return &Error{Want: dataTypes, Got: typ.String()}
	}
	return nil
}
