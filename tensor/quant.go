package tensor

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
)

// IsQuantized reports whether the type is stored in blocks: q8 or q4. The last
// dimension of such a tensor is a multiple of BlockLen, so that rows are whole blocks.
func (d DType) IsQuantized() bool { return d == Q8 || d == Q4 }

// BlockLen is the number of elements of a block of q8 and of q4.
const BlockLen = quant.Len

// mustBeWholeBlocks panics if rows of the shape would end inside a block.
func mustBeWholeBlocks(op string, dt DType, shape []int) {
	if dt.IsQuantized() && (len(shape) == 0 || shape[len(shape)-1]%BlockLen != 0) {
		Panicf(op, "%s%v: want a last dimension that is a multiple of %d", dt, shape, BlockLen)
	}
}

// Decode widens elements in the type's own bytes, at any alignment, to float32: exactly
// from f32, f16, bf16, q8 and q4, rounded from f64. data has d.Bytes(len(dst)) bytes.
func (d DType) Decode(dst []float32, data []byte) {
	d.mustBeKnown("decode")
	if want := d.Bytes(len(dst)); len(data) != want {
		Panicf("decode", "%d bytes for %d elements of %s, want %d", len(data), len(dst), d, want)
	}
	le := binary.LittleEndian
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(data[4*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(data[8*i:])))
		}
	case F16:
		half.DecodeF16(dst, data)
	case BF16:
		half.DecodeBF16(dst, data)
	case Q8:
		quant.DecodeQ8(dst, data)
	case Q4:
		quant.DecodeQ4(dst, data)
	default:
		Panicf("decode", "%s elements are no numbers", d)
	}
}

// float64s widens n elements as Decode does, and f64 loses nothing.
func (d DType) float64s(data []byte, n int) []float64 {
	values := make([]float64, n)
	if d == F64 {
		copy(bytesOf(values), data)
		return values
	}
	narrow := make([]float32, n)
	d.Decode(narrow, data)
	for i, v := range narrow {
		values[i] = float64(v)
	}
	return values
}

// Quantize appends the blocks of values to dst as ggml's reference quantizer makes them.
// A NaN, or a number too large for the blocks' scale, is an error.
func (d DType) Quantize(dst []byte, values []float32) ([]byte, error) {
	if len(values)%BlockLen != 0 {
		Panicf("quantize", "%d elements are not a whole number of %s blocks of %d", len(values), d, BlockLen)
	}
	switch d {
	case Q8:
		return quant.AppendQ8(dst, values)
	case Q4:
		return quant.AppendQ4(dst, values)
	}
	return dst, fmt.Errorf("quantizing to %s: want q8 or q4", d)
}
