// Package safetensors reads and writes the safetensors format: eight bytes of header
// length, a JSON header that gives each tensor's dtype, shape and place, and the
// tensors' bytes, row-major and little-endian, without gaps
// (https://github.com/huggingface/safetensors#format).
//
// Open and OpenModel map files into memory and check every number of the header
// before anything is handed out; Write streams a new file into place atomically.
package safetensors

import (
	"encoding/binary"
	"math"

	"github.com/agora-ml/agora/internal/half"
)

// DType is the type of a tensor's elements, spelled as in the file.
type DType string

// The types this package knows. Any other type in a file is an error.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U8   DType = "U8"
	Bool DType = "BOOL" // one byte an element, 0 or 1

	// Floats of eight bits, which are found and copied: their meaning takes a scale.
	F8E4M3 DType = "F8_E4M3"
	F8E5M2 DType = "F8_E5M2"
	F8E8M0 DType = "F8_E8M0"
)

const dtypeNames = "F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, F8_E4M3, F8_E5M2 or F8_E8M0"

// size is the number of bytes of one element, 0 for an unknown type.
func (d DType) size() int {
	switch d {
	case F64, I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16, I16:
		return 2
	case I8, U8, Bool, F8E4M3, F8E5M2, F8E8M0:
		return 1
	}
	return 0
}

// Tensor is one tensor of a file. Data are its bytes, little-endian and row-major,
// at any alignment; from Open and OpenModel they are the mapping itself: read-only,
// and gone after Close.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte

	file string // for errors
}

// Len is the number of elements.
func (t Tensor) Len() int { return len(t.Data) / t.DType.size() }

// Float32s is a copy of the tensor as float32: exact from F32, F16 and BF16, rounded
// to nearest even from F64. Other types are an error.
func (t Tensor) Float32s() ([]float32, error) {
	v := make([]float32, t.Len())
	le := binary.LittleEndian
	switch t.DType {
	case F64:
		for i := range v {
			v[i] = float32(math.Float64frombits(le.Uint64(t.Data[8*i:])))
		}
	case F32:
		for i := range v {
			v[i] = math.Float32frombits(le.Uint32(t.Data[4*i:]))
		}
	case F16:
		for i := range v {
			v[i] = half.FromF16(le.Uint16(t.Data[2*i:]))
		}
	case BF16:
		for i := range v {
			v[i] = half.FromBF16(le.Uint16(t.Data[2*i:]))
		}
	default:
		return nil, &Error{File: t.file, Tensor: t.Name, Want: "F64, F32, F16 or BF16", Got: string(t.DType)}
	}
	return v, nil
}

// Int64s is a copy of the tensor as int64, from any integer type or BOOL. Other types
// are an error.
func (t Tensor) Int64s() ([]int64, error) {
	v := make([]int64, t.Len())
	le := binary.LittleEndian
	switch t.DType {
	case I64:
		for i := range v {
			v[i] = int64(le.Uint64(t.Data[8*i:]))
		}
	case I32:
		for i := range v {
			v[i] = int64(int32(le.Uint32(t.Data[4*i:])))
		}
	case I16:
		for i := range v {
			v[i] = int64(int16(le.Uint16(t.Data[2*i:])))
		}
	case I8:
		for i := range v {
			v[i] = int64(int8(t.Data[i]))
		}
	case U8, Bool:
		for i := range v {
			v[i] = int64(t.Data[i])
		}
	default:
		return nil, &Error{File: t.file, Tensor: t.Name, Want: "I64, I32, I16, I8, U8 or BOOL", Got: string(t.DType)}
	}
	return v, nil
}

// FromFloat32s is an F32 tensor with a copy of v, to be written. It panics if the
// shape is not that of v.
func FromFloat32s(name string, shape []int, v []float32) Tensor {
	if n, ok := elements(shape); !ok || n != len(v) {
		panic(&Error{Tensor: name, Want: "as many values as the shape has", Got: shapeAndCount(shape, len(v))})
	}
	data := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(x))
	}
	return Tensor{Name: name, DType: F32, Shape: shape, Data: data}
}
