package vec

import "math"

// A Half is a type of 16 bits. Routines that are called Narrow read and write slices of it, compute in float32 in registers, and
// round what they store once, to nearest even: results have the bits of slices that are widened before and rounded after.
type Half int

// The types.
const (
	F16 Half = iota
	BF16
)

// Narrow reports whether there are such routines for slices, or rows, of n elements: on every processor whose assembly is used, for
// multiples of 8. Without it they must not be called.
func Narrow(n int) bool { return hasNarrow() && n%8 == 0 }

// AddNarrow is Add.
func AddNarrow(h Half, dst, a, b []uint16) {
	same("AddNarrow", len(dst), len(a), len(b))
	addNarrow(h, dst, a, b)
}

// SwiGLUNarrow is SwiGLU.
func SwiGLUNarrow(h Half, y, gate, up []uint16) {
	same("SwiGLUNarrow", len(y), len(gate), len(up))
	swigluNarrow(h, y, gate, up)
}

// SwiGLUGradNarrow is SwiGLUGrad.
func SwiGLUGradNarrow(h Half, dgate, dup, dy, gate, up []uint16) {
	same("SwiGLUGradNarrow", len(dgate), len(dup), len(dy), len(gate), len(up))
	swigluGradNarrow(h, dgate, dup, dy, gate, up)
}

// RMSNormRowNarrow is RMSNormRow.
func RMSNormRowNarrow(h Half, y, x []uint16, w []float32, eps float32) (rstd float32) {
	same("RMSNormRowNarrow", len(y), len(x), len(w))
	rstd = float32(1 / math.Sqrt(sumSquaresNarrow(h, x)/float64(len(x))+float64(eps)))
	scaleMulNarrow(h, y, x, w, rstd)
	return rstd
}

// RMSNormGradRowNarrow is RMSNormGradRow.
func RMSNormGradRowNarrow(h Half, dx, dy, x []uint16, w []float32, rstd float32) {
	same("RMSNormGradRowNarrow", len(dx), len(dy), len(x), len(w))
	rmsNormGradNarrow(h, dx, dy, x, w, rstd, rmsNormGradFactor(dot3Narrow(h, dy, w, x), len(x), rstd))
}

// RMSNormGradRowPlusNarrow is RMSNormGradRowPlus.
func RMSNormGradRowPlusNarrow(h Half, dx, dy, x []uint16, w []float32, plus []uint16, rstd float32) {
	same("RMSNormGradRowPlusNarrow", len(dx), len(dy), len(x), len(w), len(plus))
	rmsNormGradPlusNarrow(h, dx, dy, x, w, plus, rstd, rmsNormGradFactor(dot3Narrow(h, dy, w, x), len(x), rstd))
}

// RoPERowNarrow is RoPERow for halves of heads that Narrow has routines for.
func RoPERowNarrow(h Half, y, x []uint16, table []float32, sign float32) {
	same("RoPERowNarrow", len(y), len(x))
	wholeHeads("RoPERowNarrow", len(x), len(table))
	if half := len(table) / 2; len(x) > 0 {
		rotateNarrow(h, y, y[half:], x, x[half:], table[:half], table[half:], sign, len(x)/len(table))
	}
}
