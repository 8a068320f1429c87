package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
)

// decode widens the bytes of a readable type to float32; package quant says what blocks mean.
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
	default:
		blocks[typ].Decode(dst, src)
	}
	return nil
}

// Append appends values in F32, F16, BF16, Q8_0, Q4_0, Q4_K or Q6_K to dst; package quant makes the blocks.
// Those whose scale is no finite F16 are an error.
func Append(dst []byte, typ Type, values []float32) ([]byte, error) {
	if b, ok := blocks[typ]; ok && !b.CanAppend() {
		return dst, &Error{Want: writtenTypes, Got: typ.String()}
	}
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
	dst, err := blocks[typ].Append(dst, values)
	if bad := (*quant.ScaleError)(nil); errors.As(err, &bad) {
		return dst, &Error{Want: fmt.Sprintf("blocks of %s whose scale is a finite F16", typ),
			Got: fmt.Sprintf("a value of %v at element %d", bad.Value, bad.At)}
	}
	return dst, err
}

// fits checks that the type is one that is read and that n elements are whole blocks.
func fits(typ Type, n int) error {
	b, ok := blocks[typ]
	switch {
	case typ == F32 || typ == F16 || typ == BF16:
	case !ok:
		return &Error{Want: readTypes, Got: typ.String()}
	case n%b.Len() != 0:
		return &Error{Want: fmt.Sprintf("a multiple of %d elements for %s", b.Len(), typ), Got: fmt.Sprint(n)}
	}
	return nil
}
