package vec

import (
	"fmt"
	"math"
	"unsafe"
)

// WeighRowsBF16 is WeighRows whose weights become bfloat16, denormal ones zeros, and zeros from counts[r] to n, at the beginning of
// their row's memory, which holds twice as many numbers of them. Its rest is undefined then: apart is at least n/2 + 32.
func WeighRowsBF16(x []float32, apart int, counts []int, n int, highest, sums []float32) {
	checkRows("WeighRowsBF16", len(x), apart, counts)
	same("WeighRowsBF16", len(counts), len(highest), len(sums))
	checkFill("WeighRowsBF16", len(x), apart, len(counts), counts, n, n/2+32)
	for len(counts) > 0 {
		rows := rowsOfCall(counts)
		weighRowsBF16(x, apart, counts[:rows], n, highest[:rows], sums[:rows])
		x, counts, highest, sums = x[min(rows*apart, len(x)):], counts[rows:], highest[rows:], sums[rows:]
	}
}

// weighEachBF16 is WeighRowsBF16 row by row.
func weighEachBF16(x []float32, apart int, counts []int, n int, highest, sums []float32) {
	weighEach(x, apart, counts, highest, sums)
	for r, c := range counts {
		row := x[r*apart:][:apart]
		to := Words(row)
		for i, w := range row[:c] {
			to[i] = roundNormal(w)
		}
		clear(to[c:max(c, n)])
	}
}

// WeighGradRowsBF16 is WeighGradRows for products of bfloat16: what it makes of p and ds is rounded to that, denormal numbers to
// zeros, with zeros from counts[r] to n. Of both it leaves pairs of rows, r and r+1 for an even r: pair i, two numbers in the memory
// of one, at p[r*apart+i], with zeros beside the last row of an odd number. What was ds is in rows, too, at to[r*across]. apart and
// across are at least n + 15, and to holds an even number of rows.
func WeighGradRowsBF16(p, ds []float32, apart int, counts []int, n int, shift, delta []float32, to []uint16, across int) {
	checkRows("WeighGradRowsBF16", min(len(p), len(ds)), apart, counts)
	same("WeighGradRowsBF16", len(counts), len(shift), len(delta))
	checkFill("WeighGradRowsBF16", min(len(p), len(ds)), apart, len(counts), counts, n, n+15)
	checkFill("WeighGradRowsBF16", len(to), across, (len(counts)+1)&^1, counts, n, n+15)
	for len(counts) > 0 {
		rows := min(len(counts), (rowsOfCall(counts)+1)&^1)
		weighGradRowsBF16(p, ds, apart, counts[:rows], n, shift[:rows], delta[:rows], to, across)
		p, ds, to = p[min(rows*apart, len(p)):], ds[min(rows*apart, len(ds)):], to[min(rows*across, len(to)):]
		counts, shift, delta = counts[rows:], shift[rows:], delta[rows:]
	}
}

// weighGradEachBF16 is WeighGradRowsBF16 row by row.
func weighGradEachBF16(p, ds []float32, apart int, counts []int, n int, shift, delta []float32, to []uint16, across int) {
	weighGradEach(p, ds, apart, counts, shift, delta)
	for r := 0; r < len(counts); r += 2 {
		for i := range max(n, counts[r], counts[min(r+1, len(counts)-1)]) {
			var weights, changes [2]uint16
			for j := range min(2, len(counts)-r) {
				if i < counts[r+j] {
					weights[j], changes[j] = roundNormal(p[(r+j)*apart+i]), roundNormal(ds[(r+j)*apart+i])
				}
				to[(r+j)*across+i] = changes[j]
			}
			copy(Words(p[r*apart+i:][:1]), weights[:])
			copy(Words(ds[r*apart+i:][:1]), changes[:])
		}
	}
}

// DotRowsBF16 sets sums[r] to the product of row r of x and that of y, of n numbers of bfloat16 each, rows that lie apart and across
// numbers from each other: summed in float32, as products are.
func DotRowsBF16(sums []float32, x []uint16, apart int, y []uint16, across, n int) {
	last := len(sums) - 1
	if last < 0 {
		return
	}
	if n < 0 || apart < n || across < n || last*apart+n > len(x) || last*across+n > len(y) {
		panic(fmt.Sprintf("vec.DotRowsBF16: %d rows of %d elements, %d apart, of %d, and %d apart, of %d", len(sums), n, apart, len(x), across, len(y)))
	}
	for most := max(1, rowsPiece/max(1, n)); len(sums) > most; sums = sums[most:] {
		dotRowsBF16(sums[:most], x, apart, y, across, n)
		x, y = x[most*apart:], y[most*across:]
	}
	dotRowsBF16(sums, x, apart, y, across, n)
}

// dotEachBF16 is DotRowsBF16 row by row.
func dotEachBF16(sums []float32, x []uint16, apart int, y []uint16, across, n int) {
	wide := func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
	for r := range sums {
		sum := float32(0)
		for i := range n {
			sum += wide(x[r*apart+i]) * wide(y[r*across+i])
		}
		sums[r] = sum
	}
}

// checkFill panics unless n numbers and what may be undefined behind them, least, have room in every one of some rows.
func checkFill(name string, total, apart, rows int, counts []int, n, least int) {
	for _, c := range counts {
		if c > n {
			panic(fmt.Sprintf("vec.%s: a row of %d elements, and zeros up to %d", name, c, n))
		}
	}
	if n < 0 || apart < least || rows > 0 && (rows-1)*apart+least > total {
		panic(fmt.Sprintf("vec.%s: %d rows of %d elements, %d apart, of %d, want %d in each", name, rows, n, apart, total, least))
	}
}

// roundNormal rounds to bfloat16, denormal numbers to zero, as products do.
func roundNormal(x float32) uint16 {
	var to [1]uint16
	toBF16Go(to[:], []float32{x})
	if math.Abs(float64(x)) < 0x1p-126 {
		to[0] &= 1 << 15
	}
	return to[0]
}

// Words is the memory of x, as numbers of 16 bits.
func Words(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}
