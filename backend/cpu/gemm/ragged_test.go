package gemm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// Products with operands packed in float32, as far as each row goes, have the bits of those that pack for themselves, and touch
// nothing beyond.
func TestPackedF32(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	random := func(n int) []float32 {
		x := pageend.Of[float32](t, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	nan := float32(math.NaN())
	for i := range kernels {
		w := Workspace{kernel: &kernels[i]}
		for _, c := range [][3]int{{48, 256, 64}, {33, 70, 48}, {7, 100, 5}, {65, 33, 128}, {30, 40, 250}} {
			m, n, k := c[0], c[1], c[2]
			for name, ends := range map[string][]int{
				"all": endsOf(m, func(int) int { return n }), "a diagonal": endsOf(m, func(i int) int { return min(i, n) }),
				"any": endsOf(m, func(int) int { return r.IntN(n + 1) }), "nothing": endsOf(m, func(int) int { return 0 }),
			} {
				most, ldc := most(ends), roundUp(n, Whole)
				keys := random(n * (k + 3))
				for j := most * (k + 3); j < len(keys); j++ {
					keys[j] = nan
				}
				a, b := random(m*k), F32(keys, k+3)
				packed := w.PackF32(pageend.Of[float32](t, PackedFloats(k, n)), true, k, n, b)
				want, got := pageend.Of[float32](t, m*ldc), pageend.Of[float32](t, m*ldc)
				w.SgemmAlpha(false, true, m, n, k, 0.5, a, k, b, want, ldc, false)
				for _, first := range []int{0, Whole} {
					left := endsOf(m, func(i int) int { return max(0, ends[i]-first) })
					w.TimesColumns(left, k, 0.5, a, k, &packed, first, got, ldc)
					for i, end := range left {
						for j := range end {
							if got[i*ldc+j] != want[i*ldc+first+j] {
								t.Fatalf("%s %v, %s: element %d, %d from %d on is %v, want %v", w.kernel.name, c, name, i, j, first,
									got[i*ldc+j], want[i*ldc+first+j])
							}
						}
					}
				}
				for i, end := range ends {
					clear(want[i*ldc+end:][:n-end])
				}

				// The weights' sums: what lies behind the longest row is no number.
				packed = w.PackF32(pageend.Of[float32](t, PackedFloats(n, k)), false, n, k, b)
				for _, first := range []int{0, Whole} {
					left := endsOf(m, func(i int) int { return max(0, ends[i]-first) })
					sums, wantSums := random(m*(k+1)), make([]float32, m*(k+1))
					copy(wantSums, sums)
					rest := max(0, most-first)
					w.Sgemm(false, false, m, k, rest, want[first:], ldc, F32(keys[first*(k+3):], k+3), wantSums, k+1, true)
					w.TimesSteps(left, k, want[first:], ldc, &packed, first, sums, k+1)
					for i := range sums {
						if sums[i] != wantSums[i] {
							t.Fatalf("%s %v, %s: sum %d from %d on is %v, want %v", w.kernel.name, c, name, i, first, sums[i], wantSums[i])
						}
					}
				}

				// What keys' gradients are: weights transposed times rows, whose sums begin with the first row that has a weight.
				rows := random(m*k + Whole)
				sums, wantSums := random(n*(k+1)), make([]float32, n*(k+1))
				copy(wantSums, sums)
				w.Sgemm(true, false, n, k, m, want, ldc, F32(rows, k), wantSums, k+1, true)
				w.TimesRows(ends, k, want, ldc, rows, k, sums, k+1)
				for i := range sums {
					if sums[i] != wantSums[i] {
						t.Fatalf("%s %v, %s: sum %d over rows is %v, want %v", w.kernel.name, c, name, i, sums[i], wantSums[i])
					}
				}
			}
		}
	}
}

func endsOf(m int, f func(i int) int) []int {
	ends := make([]int, m)
	for i := range ends {
		ends[i] = f(i)
	}
	return ends
}
