// Package gguf reads and writes GGUF, the file format of llama.cpp: metadata (keys with
// typed values), tensor infos and the tensors' bytes, little-endian and aligned
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
//
// Open maps a file into memory and checks every number of its header before anything
// is handed out; Write streams a new file into place atomically. What the keys and tensors
// mean depends on the model (see package llama).
package gguf

import (
	"fmt"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/internal/quant"
)

// Type is the type of a tensor's elements, with ggml's number for it.
type Type uint32

// The types whose elements this package reads. It writes F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K.
// Tensors of other types can be found and copied.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	BF16   Type = 30
)

// blocks are the kinds of blocks of the quantized types that are read.
var blocks = map[Type]quant.Type{Q4_0: quant.Q4_0, Q4_1: quant.Q4_1, Q5_0: quant.Q5_0, Q5_1: quant.Q5_1,
	Q8_0: quant.Q8_0, Q4_K: quant.Q4_K, Q5_K: quant.Q5_K, Q6_K: quant.Q6_K, IQ4_NL: quant.IQ4_NL}

// IsQuantized reports whether elements of the type are read out of blocks that share scales.
func (t Type) IsQuantized() bool {
	_, ok := blocks[t]
	return ok
}

// readTypes and writtenTypes are for errors.
const (
	readTypes    = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, Q4_K, Q5_K or Q6_K"
	writtenTypes = "F32, F16, BF16, Q8_0, Q4_0, Q4_K or Q6_K"
)

// types are the elements and the bytes of a block of each of ggml's types.
var types = map[Type]struct {
	name         string
	block, bytes int
}{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2}, 28: {"F64", 1, 8},
	24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8},
	9: {"Q8_1", 32, 36}, 39: {"MXFP4", 32, 17},
	10: {"Q2_K", 256, 84}, 11: {"Q3_K", 256, 110}, 15: {"Q8_K", 256, 292}, 16: {"IQ2_XXS", 256, 66},
	17: {"IQ2_XS", 256, 74},
	18: {"IQ3_XXS", 256, 98}, 19: {"IQ1_S", 256, 50}, 21: {"IQ3_S", 256, 110}, 22: {"IQ2_S", 256, 82},
	23: {"IQ4_XS", 256, 136}, 29: {"IQ1_M", 256, 56}, 34: {"TQ1_0", 256, 54}, 35: {"TQ2_0", 256, 66},
}

func (t Type) String() string {
	if b, ok := blocks[t]; ok {
		return b.String()
	}
	if i, ok := types[t]; ok {
		return i.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// block is how many elements a block of the type has, and how many bytes it takes;
// zeros for an unknown type. A row of a tensor is a whole number of blocks.
func (t Type) block() (elements, bytes int) {
	if b, ok := blocks[t]; ok {
		return b.Len(), b.Bytes(b.Len())
	}
	i := types[t]
	return i.block, i.bytes
}

// Tensor is one tensor of a file. Shape is row-major, so the reverse of the dimensions
// in the file: rows of shape[len-1] elements, which are contiguous. Data are the bytes
// as they stand in the file, nil if the type is unknown; from Open they are the mapping
// itself: read-only, and gone after Close.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int
	Data  []byte

	file string // for errors
}

// Len is the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Float32s is a copy of the tensor as float32: exact from F32, F16 and BF16, and from
// quantized types what ggml widens their blocks to. Other types are an error.
func (t Tensor) Float32s() ([]float32, error) {
	if err := fits(t.Type, 0); err != nil {
		return nil, inFile(t.file, inTensor(t.Name, err))
	}
	v := make([]float32, t.Len())
	if err := decode(v, t.Type, t.Data); err != nil {
		return nil, inFile(t.file, inTensor(t.Name, err))
	}
	return v, nil
}

// FromFloat32s is a tensor of v in a type that Append makes, to be written: rounded to
// nearest even in F16 and BF16, and as Append says in Q8_0 and Q4_0.
func FromFloat32s(name string, typ Type, shape []int, v []float32) (Tensor, error) {
	bytes, err := size(typ, shape)
	t := Tensor{Name: name, Type: typ, Shape: shape}
	if err == nil && t.Len() != len(v) {
		err = &Error{Want: "as many values as " + fileerror.Shape(shape) + " has", Got: fmt.Sprint(len(v))}
	}
	if err == nil {
		t.Data, err = Append(make([]byte, 0, max(bytes, 0)), typ, v)
	}
	return t, inTensor(name, err)
}
