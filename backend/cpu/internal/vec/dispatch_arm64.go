//go:build !noasm

package vec

import "github.com/agora-ml/agora/internal/cpulevel"

// useNEON is constant after start; tests switch it.
var useNEON = cpulevel.Chosen() >= cpulevel.NEON

// Implementation names the routines in use.
func Implementation() string {
	if useNEON {
		return cpulevel.NEON.String()
	}
	return "go"
}

// Bits names the routines whose bits results have.
func Bits() string { return Implementation() }

func hasNarrow() bool { return useNEON }

func weighRows(x []float32, apart int, counts []int, highest, sums []float32) {
	weighEach(x, apart, counts, highest, sums)
}

func weighGradRows(p, ds []float32, apart int, counts []int, shift, delta []float32) {
	weighGradEach(p, ds, apart, counts, shift, delta)
}

func weighRowsBF16(x []float32, apart int, counts []int, n int, highest, sums []float32) {
	weighEachBF16(x, apart, counts, n, highest, sums)
}

func weighGradRowsBF16(p, ds []float32, apart int, counts []int, n int, shift, delta []float32, to []uint16, across int) {
	weighGradEachBF16(p, ds, apart, counts, n, shift, delta, to, across)
}

func scaleRows(dst []float32, apart int, x []float32, from, n int, alpha []float32) {
	scaleEach(dst, apart, x, from, n, alpha)
}

func scaleRowsTo(h Half, dst []uint16, apart int, x []float32, from, n int, alpha []float32) {
	scaleEachTo(h, dst, apart, x, from, n, alpha)
}

func dotRowsBF16(sums []float32, x []uint16, apart int, y []uint16, across, n int) {
	dotEachBF16(sums, x, apart, y, across, n)
}

func clearRows(x []float32, apart int, counts []int, n int) { clearEach(x, apart, counts, n) }
