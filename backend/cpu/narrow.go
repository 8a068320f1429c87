package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/tensor"
)

// halves are arguments of one type of 16 bits, which routines of package vec read and write as they are: with the same bits, and
// without the pieces of scratch memory that others are widened to.
type halves struct {
	vec.Half
	of [][]uint16
}

// asHalves are the arguments so, in this order; nil if there are none, their types differ, or there are no routines for rows of n
// elements.
func asHalves(n int, a ...tensor.Arg) *halves {
	if !vec.Narrow(n) || !a[0].DType.Is16Bit() {
		return nil
	}
	x := &halves{Half: vec.F16}
	if a[0].DType == tensor.BF16 {
		x.Half = vec.BF16
	}
	for _, arg := range a {
		if arg.DType != a[0].DType {
			return nil
		}
		x.of = append(x.of, elements[uint16](arg))
	}
	return x
}

// at is elements [lo, hi) of argument i.
func (x *halves) at(i, lo, hi int) []uint16 { return x.of[i][lo:hi] }
