package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
)

// blockLen is the number of elements of a block of Q8_0 and of Q4_0.
const blockLen = quant.Len

// decode widens the bytes of any of the five types to float32; package quant says what
// the blocks of Q8_0 and Q4_0 mean.
func decode(dst []float32, typ Type, src []byte) error {
	if err := fits(typ, len(dst)); err != nil {
		return err
	}
	block, bytes := typ.block()
	if want := len(dst) / block * bytes; len(src) != want {
		return &Error{Want: fmt.Sprintf("%d bytes for %d elements of %s", want, len(dst), typ),
			Got: fmt.Sprint(len(src))}
	}
	le := binary.LittleEndian
	switch typ {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F16:
		half.DecodeF16(dst, src)
	case BF16:
		half.DecodeBF16(dst, src)
	case Q8_0:
		quant.DecodeQ8(dst, src)
	case Q4_0:
		quant.DecodeQ4(dst, src)
	}
	return nil
}

// Append appends values in any of the five types to dst; package quant makes the blocks.
// Those whose scale is no finite F16 are an error.
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
	quantize := quant.AppendQ8
	if typ == Q4_0 {
		quantize = quant.AppendQ4
	}
	dst, err := quantize(dst, values)
	if bad := (*quant.ScaleError)(nil); errors.As(err, &bad) {
		return dst, &Error{Want: fmt.Sprintf("blocks of %s whose scale is a finite F16", typ),
			Got: fmt.Sprintf("a value of %v", bad.Value)}
	}
	return dst, err
}

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
