package tensor

import "fmt"

// DType is how the elements of a tensor are stored.
type DType uint8

// The storage types. Q8 and Q4 are GGML's Q8_0 and Q4_0: blocks of 32 numbers
// with one f16 scale, for frozen weights only.
const (
	F32 DType = iota
	F64
	F16
	BF16
	I32
	Q8
	Q4
)

var dtypes = [...]struct {
	name         string
	block, bytes int // elements of a block and its bytes
}{
	F32: {"f32", 1, 4}, F64: {"f64", 1, 8}, F16: {"f16", 1, 2}, BF16: {"bf16", 1, 2}, I32: {"i32", 1, 4},
	Q8: {"q8", 32, 34}, Q4: {"q4", 32, 18},
}

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
	return 0, fmt.Errorf("unknown dtype %q: want one of f32, f64, f16, bf16, i32, q8, q4", name)
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
		Panicf(op, "%s: want f32, f64, f16, bf16, i32, q8 or q4", d)
	}
}

// IsFloat reports whether arithmetic kernels may read the type as numbers.
func (d DType) IsFloat() bool { return d <= BF16 }

// Is16Bit reports whether the type is f16 or bf16.
func (d DType) Is16Bit() bool { return d == F16 || d == BF16 }

// WeightTypes lists the types that a model's frozen weights may be stored in.
func WeightTypes() []DType { return append(ActivationTypes(), Q8, Q4) }

// ActivationTypes lists the types that activations, and weights that train, may be stored in.
func ActivationTypes() []DType { return []DType{F32, BF16, F16} }
