package vec

import "fmt"

// rowsPiece is the most elements that one call of assembly works on: a goroutine is not to be kept for longer.
const rowsPiece = 1 << 16

// ScaleRows sets the n elements of row r of dst, rows apart elements from each other, to alpha[r] times those of row r of x, which
// lie from elements from each other. They may be the same rows.
func ScaleRows(dst []float32, apart int, x []float32, from, n int, alpha []float32) {
	last := len(alpha) - 1
	if last < 0 || n == 0 {
		return
	}
	if n < 0 || apart < n || from < n || last*apart+n > len(dst) || last*from+n > len(x) {
		panic(fmt.Sprintf("vec.ScaleRows: %d rows of %d elements, %d apart, of %d, from rows %d apart, of %d", len(alpha), n, apart, len(dst),
			from, len(x)))
	}
	for most := max(1, rowsPiece/n); len(alpha) > most; alpha = alpha[most:] {
		scaleRows(dst, apart, x, from, n, alpha[:most])
		dst, x = dst[most*apart:], x[most*from:]
	}
	scaleRows(dst, apart, x, from, n, alpha)
}

// scaleEach is ScaleRows row by row.
func scaleEach(dst []float32, apart int, x []float32, from, n int, alpha []float32) {
	for r, by := range alpha {
		scale(dst[r*apart:][:n], x[r*from:][:n], by)
	}
}

// ScaleRowsTo is ScaleRows to rows of 16 bits.
func ScaleRowsTo(h Half, dst []uint16, apart int, x []float32, from, n int, alpha []float32) {
	last := len(alpha) - 1
	if last < 0 || n == 0 {
		return
	}
	if n < 0 || apart < n || from < n || last*apart+n > len(dst) || last*from+n > len(x) {
		panic(fmt.Sprintf("vec.ScaleRowsTo: %d rows of %d elements, %d apart, of %d, from rows %d apart, of %d", len(alpha), n, apart, len(dst),
			from, len(x)))
	}
	for most := max(1, rowsPiece/n); len(alpha) > most; alpha = alpha[most:] {
		scaleRowsTo(h, dst, apart, x, from, n, alpha[:most])
		dst, x = dst[most*apart:], x[most*from:]
	}
	scaleRowsTo(h, dst, apart, x, from, n, alpha)
}

// scaleEachTo is ScaleRowsTo row by row, in pieces that are scaled apart from them.
func scaleEachTo(h Half, dst []uint16, apart int, x []float32, from, n int, alpha []float32) {
	var piece [256]float32
	for r, by := range alpha {
		for i := 0; i < n; i += len(piece) {
			row := piece[:min(len(piece), n-i)]
			scale(row, x[r*from+i:][:len(row)], by)
			if to := dst[r*apart+i:][:len(row)]; h == F16 {
				toF16(to, row)
			} else {
				toBF16(to, row)
			}
		}
	}
}

// ClearRows zeros elements counts[r] to n of row r of x, rows apart elements from each other.
func ClearRows(x []float32, apart int, counts []int, n int) {
	if len(counts) == 0 {
		return
	}
	if n < 0 || apart < n || (len(counts)-1)*apart+n > len(x) {
		panic(fmt.Sprintf("vec.ClearRows: %d rows of %d elements, %d apart, of %d", len(counts), n, apart, len(x)))
	}
	for r, c := range counts {
		if c < 0 || c > n {
			panic(fmt.Sprintf("vec.ClearRows: row %d from element %d on, of %d", r, c, n))
		}
	}
	for most := max(1, rowsPiece/max(1, n)); len(counts) > most; counts = counts[most:] {
		clearRows(x, apart, counts[:most], n)
		x = x[most*apart:]
	}
	clearRows(x, apart, counts, n)
}

// clearEach is ClearRows row by row.
func clearEach(x []float32, apart int, counts []int, n int) {
	for r, c := range counts {
		clear(x[r*apart:][c:n])
	}
}
