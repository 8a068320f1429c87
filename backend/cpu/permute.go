package cpu

import (
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(permute[float32], permute[float64])
	fast(fastPermute)
}

// permute: y[i0, ..., i5] = x[Σ i_d s_d].
func permute[F float](w *work, k kernels.Permute, a args[F]) {
	y, x := a.f[0], a.f[1]
	rows := k.D0 * k.D1 * k.D2 * k.D3 * k.D4
	w.team.Rows(rows, max(1, grain/k.D5), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			from := permutedRow(k, r)
			for i := range k.D5 {
				y[r*k.D5+i] = x[from+i*k.S5]
			}
		}
	})
}

// permutedRow is where row r of the result, a run along its last dimension, begins
// in x.
func permutedRow(k kernels.Permute, r int) int {
	i4, r := r%k.D4, r/k.D4
	i3, r := r%k.D3, r/k.D3
	i2, r := r%k.D2, r/k.D2
	i1, i0 := r%k.D1, r/k.D1
	return i0*k.S0 + i1*k.S1 + i2*k.S2 + i3*k.S3 + i4*k.S4
}

// fastPermute covers what permutations give in practice: a last dimension that stays
// (rows are moved whole), or one that changes places with x's last dimension.
func fastPermute(w *work, k kernels.Permute, a []tensor.Arg) bool {
	switch a[0].DType.Bytes(1) {
	case 2:
		return movePermuted[uint16](w, k, a)
	case 4:
		return movePermuted[uint32](w, k, a)
	}
	return false
}

func movePermuted[E any](w *work, k kernels.Permute, a []tensor.Arg) bool {
	y, x := elements[E](a[0]), elements[E](a[1])
	if k.S5 == 1 {
		rows := k.D0 * k.D1 * k.D2 * k.D3 * k.D4
		w.team.Rows(rows, max(1, grain/k.D5), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				copy(y[r*k.D5:(r+1)*k.D5], x[permutedRow(k, r):])
			}
		})
		return true
	}
	// Dimension d of y runs along x's elements. Rows of y that differ in nothing else
	// are side by side in x: squares of them are read and written line by line.
	size, stride, apart := k.D4, k.S4, 1 // apart: the rows of y between neighbors in d
	for _, d := range [][2]int{{k.D3, k.S3}, {k.D2, k.S2}, {k.D1, k.S1}, {k.D0, k.S0}} {
		if stride == 1 && size > 1 {
			break
		}
		apart *= size
		size, stride = d[0], d[1]
	}
	if stride != 1 {
		return false
	}
	const square = 16
	cuts := (size + square - 1) / square
	others := k.D0 * k.D1 * k.D2 * k.D3 * k.D4 / size
	w.team.Rows(others*cuts, max(1, grain/(square*k.D5)), func(lo, hi int) {
		for t := lo; t < hi; t++ {
			other, first := t/cuts, t%cuts*square
			row := other/apart*apart*size + other%apart + first*apart // of y
			from := permutedRow(k, row)
			height := min(square, size-first)
			for c := 0; c < k.D5; c += square {
				for j := c; j < min(c+square, k.D5); j++ {
					for i, v := range x[from+j*k.S5:][:height] {
						y[(row+i*apart)*k.D5+j] = v
					}
				}
			}
		}
	})
	return true
}
