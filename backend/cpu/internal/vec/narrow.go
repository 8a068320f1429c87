package vec

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

// RMSNormRowsNarrow is RMSNormRows.
func RMSNormRowsNarrow(h Half, y, x []uint16, w, rstd []float32, eps float32) {
	n := len(w)
	same("RMSNormRowsNarrow", n*len(rstd), len(y), len(x))
	together(len(rstd), func(from, to int) {
		for r := from; r < to; r++ {
			rstd[r] = rstdOf(sumSquaresNarrow(h, x[r*n:(r+1)*n]), n, eps)
		}
		for r := from; r < to; r++ {
			scaleMulNarrow(h, y[r*n:(r+1)*n], x[r*n:(r+1)*n], w, rstd[r])
		}
	})
}

// RMSNormGradRowsNarrow is RMSNormGradRows.
func RMSNormGradRowsNarrow(h Half, dx, dy, x []uint16, w []float32, plus []uint16, rstd []float32) {
	n := len(w)
	same("RMSNormGradRowsNarrow", n*len(rstd), len(dx), len(dy), len(x))
	var c [RowsTogether]float32
	together(len(rstd), func(from, to int) {
		for r := from; r < to; r++ {
			c[r-from] = rmsNormGradFactor(dot3Narrow(h, dy[r*n:(r+1)*n], w, x[r*n:(r+1)*n]), n, rstd[r])
		}
		for r := from; r < to; r++ {
			lo, hi := r*n, (r+1)*n
			if plus == nil {
				rmsNormGradNarrow(h, dx[lo:hi], dy[lo:hi], x[lo:hi], w, rstd[r], c[r-from])
			} else {
				rmsNormGradPlusNarrow(h, dx[lo:hi], dy[lo:hi], x[lo:hi], w, plus[lo:hi], rstd[r], c[r-from])
			}
		}
	})
}

// RoPERowNarrow is RoPERow for halves of heads that Narrow has routines for.
func RoPERowNarrow(h Half, y, x []uint16, table []float32, sign float32) {
	same("RoPERowNarrow", len(y), len(x))
	wholeHeads("RoPERowNarrow", len(x), len(table))
	if half := len(table) / 2; len(x) > 0 {
		rotateNarrow(h, y, y[half:], x, x[half:], table[:half], table[half:], sign, len(x)/len(table))
	}
}
