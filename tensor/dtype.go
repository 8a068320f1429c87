package tensor

import (
	"fmt"
	"strings"

	"github.com/agora-ml/agora/internal/quant"
)

// DType is how the elements of a tensor are stored.
type DType uint8

// The storage types. Q8, Q4 and those behind them are blocks of numbers that share scales, for
// frozen weights only: GGML's, of which Q8 and Q4 are Q8_0 and Q4_0, and those of bitsandbytes'
// folders (NF4, FP4), of FP8 ones, and of GPTQ's and AWQ's (U4).
const (
	F32 DType = iota
	F64
	F16
	BF16
	I32
	Q8 // from here on in blocks, in the order of package quant
	Q4
	Q4_1
	Q5_0
	Q5_1
	IQ4_NL
	Q4_K
	Q5_K
	Q6_K
	NF4
	FP4
	FP8
	U4
)

// element is the name of a type, the elements of one of its blocks and their bytes.
type element struct {
	name         string
	block, bytes int
}

var dtypes = func() (list [int(Q8) + int(quant.Types)]element) {
	copy(list[:], []element{F32: {"f32", 1, 4}, F64: {"f64", 1, 8}, F16: {"f16", 1, 2}, BF16: {"bf16", 1, 2},
		I32: {"i32", 1, 4}})
	for b := range quant.Types {
		i := &list[Q8+DType(b)]
		i.name, i.block = strings.ToLower(b.String()), b.Len()
		i.bytes = b.Bytes(i.block)
	}
	list[Q8].name, list[Q4].name = "q8", "q4"
	return list
}()

func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// ParseDType is the inverse of String.
func ParseDType(name string) (DType, error) {
	for d, t := range dtypes {
		if t.name == name {
			return DType(d), nil
		}
	}
	return 0, fmt.Errorf("unknown dtype %q: want one of %s", name, names())
}

// names are those of all types.
func names() string {
	var list []string
	for _, t := range dtypes {
		list = append(list, t.name)
	}
	return strings.Join(list, ", ")
}

// Bytes is the size of n elements; n must be a whole number of the type's blocks.
func (d DType) Bytes(n int) int {
	d.mustBeKnown("dtype")
	if n < 0 {
		Panicf("dtype", "%d elements of %s: want at least 0", n, d)
	}
	i := dtypes[d]
	if n%i.block != 0 {
		panic(&Error{Op: "dtype", Msg: fmt.Sprintf("%d elements are not a whole number of %s blocks of %d", n, d,
			i.block)})
	}
	return n / i.block * i.bytes
}

func (d DType) mustBeKnown(op string) {
	if int(d) >= len(dtypes) {
		Panicf(op, "%s: want %s", d, names())
	}
}

// IsFloat reports whether arithmetic kernels may read the type as numbers.
func (d DType) IsFloat() bool { return d <= BF16 }

// Is16Bit reports whether the type is f16 or bf16.
func (d DType) Is16Bit() bool { return d == F16 || d == BF16 }

// WeightTypes lists the types that a model's frozen weights may be asked in; a file may hold
// them in other blocks, which stay as they are.
func WeightTypes() []DType { return append(ActivationTypes(), Q8, Q4, Q4_K, NF4) }

// ActivationTypes lists the types that activations, and weights that train, may be stored in.
func ActivationTypes() []DType { return []DType{F32, BF16, F16} }
