package vec

import (
	"fmt"
	"math"
)

// ExpGroup is terms of a sum of exponentials, whole groups that are added in float32: by every implementation a sum has the same
// bits where so many terms that are zero come before.
const ExpGroup = 24

// Rows of a matrix, those of a tile of attention, apart from each other, each with a count of elements of its own: how many keys
// a query sees.

// WeighRows is one step of a softmax that meets its rows piece by piece: of row r, the first counts[r] elements of x[r*apart:],
// highest[r] becomes the larger of itself and theirs, they become e^(x - highest[r]), and sums[r] their sum, accumulated in
// float64. A row with a NaN has the sum NaN; one that is -Inf throughout, with -Inf in highest, becomes zeros.
func WeighRows(x []float32, apart int, counts []int, highest, sums []float32) {
	checkRows("WeighRows", len(x), apart, counts)
	same("WeighRows", len(counts), len(highest), len(sums))
	for len(counts) > 0 {
		n := rowsOfCall(counts)
		weighRows(x, apart, counts[:n], highest[:n], sums[:n])
		x, counts, highest, sums = x[min(n*apart, len(x)):], counts[n:], highest[n:], sums[n:]
	}
}

// weighEach is WeighRows row by row.
func weighEach(x []float32, apart int, counts []int, highest, sums []float32) {
	for r, n := range counts {
		row := x[min(r*apart, len(x)):][:n]
		highest[r] = max(highest[r], maximum(row))
		shift := highest[r]
		if math.IsInf(float64(shift), -1) {
			shift = 0
		}
		sums[r] = float32(expSub(row, row, shift))
	}
}

// WeighGradRows sets, of row r, the first counts[r] elements of p[r*apart:] to e^(p - shift[r]) and those of ds to
// p * (ds - delta[r]): weights out of scores and their log-sum-exp, and gradients of scores out of those of weights. Where p - shift[r]
// is above 87 the weight may be +Inf.
func WeighGradRows(p, ds []float32, apart int, counts []int, shift, delta []float32) {
	checkRows("WeighGradRows", min(len(p), len(ds)), apart, counts)
	same("WeighGradRows", len(counts), len(shift), len(delta))
	for len(counts) > 0 {
		n := rowsOfCall(counts)
		weighGradRows(p, ds, apart, counts[:n], shift[:n], delta[:n])
		p, ds = p[min(n*apart, len(p)):], ds[min(n*apart, len(ds)):]
		counts, shift, delta = counts[n:], shift[n:], delta[n:]
	}
}

// weighGradEach is WeighGradRows row by row.
func weighGradEach(p, ds []float32, apart int, counts []int, shift, delta []float32) {
	for r, n := range counts {
		from := min(r*apart, len(p), len(ds))
		weights, changes := p[from:][:n], ds[from:][:n]
		expSubScale(weights, weights, shift[r], 1)
		subMul(changes, changes, weights, delta[r])
	}
}

// rowsOfCall is how many of the rows one call of assembly takes, at least one.
func rowsOfCall(counts []int) int {
	total := 0
	for r, n := range counts {
		if total += n; total > rowsPiece {
			return max(1, r)
		}
	}
	return len(counts)
}

// checkRows panics unless the rows lie apart in n elements.
func checkRows(name string, n, apart int, counts []int) {
	for r, c := range counts {
		if c < 0 || c > apart || c > 0 && r*apart+c > n {
			panic(fmt.Sprintf("vec.%s: row %d of %d elements, rows %d apart, of %d", name, r, c, apart, n))
		}
	}
}
