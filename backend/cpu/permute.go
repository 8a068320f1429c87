package cpu

import "github.com/agora-ml/agora/shaders"

func init() { plain(permute[float32], permute[float64]) }

// permute: y[i0, ..., i5] = x[Σ i_d s_d].
func permute[F float](w *work, k shaders.Permute, a args[F]) {
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
func permutedRow(k shaders.Permute, r int) int {
	i4, r := r%k.D4, r/k.D4
	i3, r := r%k.D3, r/k.D3
	i2, r := r%k.D2, r/k.D2
	i1, i0 := r%k.D1, r/k.D1
	return i0*k.S0 + i1*k.S1 + i2*k.S2 + i3*k.S3 + i4*k.S4
}
