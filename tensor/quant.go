package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
)

// IsQuantized reports whether the type is stored in blocks: q8, q4 and those behind them. The last
// dimension of such a tensor is a multiple of BlockLen, so that rows are whole blocks.
func (d DType) IsQuantized() bool { return d >= Q8 && int(d) < len(dtypes) }

// CanQuantize reports whether Quantize makes the type's blocks.
func (d DType) CanQuantize() bool { return d.IsQuantized() && d.blocks().CanAppend() }

// BlockLen is the number of elements of a block of the type; 1 of a type that has none.
func (d DType) BlockLen() int {
	d.mustBeKnown("block length")
	return dtypes[d].block
}

// blocks is the kind of a quantized type's blocks.
func (d DType) blocks() quant.Type { return quant.Type(d - Q8) }

// mustBeWholeBlocks panics if rows of the shape would end inside a block.
func mustBeWholeBlocks(op string, dt DType, shape []int) {
	if dt.IsQuantized() && (len(shape) == 0 || shape[len(shape)-1]%dt.BlockLen() != 0) {
		Panicf(op, "%s%v: want a last dimension that is a multiple of %d", dt, slices.Clone(shape), dt.BlockLen())
	}
}

// Decode widens elements in the type's own bytes, at any alignment, to float32: exactly
// from f32, f16 and bf16, as the blocks' makers widen them, rounded from f64. data has d.Bytes(len(dst)) bytes.
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
	case I32:
		Panicf("decode", "%s elements are no numbers", d)
	default:
		d.blocks().Decode(dst, data)
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

// Quantize appends the blocks of values to dst: q8 and q4 as ggml's reference quantizer makes them.
// A NaN, or a number too large for the blocks' scale, is an error, and so is a type whose
// blocks are only read.
func (d DType) Quantize(dst []byte, values []float32) ([]byte, error) {
	if !d.CanQuantize() {
		return dst, fmt.Errorf("quantizing to %s: want q8, q4, q4_k, q6_k or nf4", d)
	}
	if len(values)%d.BlockLen() != 0 {
		Panicf("quantize", "%d elements are not a whole number of %s blocks of %d", len(values), d, d.BlockLen())
	}
	return d.blocks().Append(dst, values)
}

// CheckBlocks returns an error for blocks of a quantized type that have an infinite scale or a
// NaN for one, as no quantizer makes them.
func (d DType) CheckBlocks(data []byte) error {
	if !d.IsQuantized() {
		Panicf("check blocks", "%s has no blocks", d)
	}
	return d.blocks().Check(data)
}
