//go:build !noasm

package vec

import (
	"math"
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
)

// useAVX2, useAVX512, which has it, and useAVX512BF16, with that, are constant after start; tests switch them. All give the same
// bits.
var (
	useAVX2       = cpulevel.Chosen() >= cpulevel.AVX2
	useAVX512     = cpulevel.Chosen() >= cpulevel.AVX512
	useAVX512BF16 = cpulevel.RoundsBF16() && roundsRight()
)

// roundsRight reports whether AVX512_BF16 rounds as its maker says. Bochs 2.7, in which `make avx512` tests, does not, by
// VCVTNE2PS2BF16: what has it is not tested there, and attention has plain loops between its products.
func roundsRight() bool {
	const n = 32
	var src [n]float32
	var got, want [n]uint16
	for i := range src {
		src[i] = math.Float32frombits(uint32(i+1)<<23 + uint32(i)*0x9001) // from the least normal numbers on
	}
	toBF16AVX512BF16(&got[0], &src[0], n)
	toBF16Go(want[:], src[:])
	return got == want
}

// Implementation names the routines in use.
func Implementation() string {
	switch {
	case useAVX512:
		return cpulevel.AVX512.String()
	case useAVX2:
		return cpulevel.AVX2.String()
	}
	return "go"
}

// Bits names the routines whose bits results have.
func Bits() string {
	if useAVX2 {
		return cpulevel.AVX2.String()
	}
	return "go"
}

func hasNarrow() bool { return useAVX2 }

func weighRows(x []float32, apart int, counts []int, highest, sums []float32) {
	f := weighRowsAVX2
	switch {
	case useAVX512:
		f = weighRowsAVX512
	case !useAVX2:
		weighEach(x, apart, counts, highest, sums)
		return
	}
	f(unsafe.SliceData(x), 4*apart, &counts[0], len(counts), &highest[0], &sums[0])
}

func weighGradRows(p, ds []float32, apart int, counts []int, shift, delta []float32) {
	f := weighGradRowsAVX2
	switch {
	case useAVX512:
		f = weighGradRowsAVX512
	case !useAVX2:
		weighGradEach(p, ds, apart, counts, shift, delta)
		return
	}
	f(unsafe.SliceData(p), unsafe.SliceData(ds), 4*apart, &counts[0], len(counts), &shift[0], &delta[0])
}

func weighRowsBF16(x []float32, apart int, counts []int, n int, highest, sums []float32) {
	if !useAVX512 || !useAVX512BF16 {
		weighEachBF16(x, apart, counts, n, highest, sums)
		return
	}
	weighRowsBF16AVX512BF16(unsafe.SliceData(x), 4*apart, &counts[0], len(counts), &highest[0], &sums[0], n)
}

func weighGradRowsBF16(p, ds []float32, apart int, counts []int, n int, shift, delta []float32, to []uint16, across int) {
	if !useAVX512 || !useAVX512BF16 {
		weighGradEachBF16(p, ds, apart, counts, n, shift, delta, to, across)
		return
	}
	weighGradRowsBF16AVX512BF16(unsafe.SliceData(p), unsafe.SliceData(ds), 4*apart, &counts[0], len(counts), &shift[0], &delta[0],
		unsafe.SliceData(to), 2*across, n)
}

func scaleRows(dst []float32, apart int, x []float32, from, n int, alpha []float32) {
	f := scaleRowsAVX2
	switch {
	case useAVX512:
		f = scaleRowsAVX512
	case !useAVX2:
		scaleEach(dst, apart, x, from, n, alpha)
		return
	}
	f(unsafe.SliceData(dst), 4*apart, unsafe.SliceData(x), 4*from, n, &alpha[0], len(alpha))
}

func scaleRowsTo(h Half, dst []uint16, apart int, x []float32, from, n int, alpha []float32) {
	if !useAVX512 {
		scaleEachTo(h, dst, apart, x, from, n, alpha)
		return
	}
	f := scaleBF16RowsAVX512
	if h == F16 {
		f = scaleF16RowsAVX512
	}
	f(unsafe.SliceData(dst), 2*apart, unsafe.SliceData(x), 4*from, n, &alpha[0], len(alpha))
}

func dotRowsBF16(sums []float32, x []uint16, apart int, y []uint16, across, n int) {
	if !useAVX512 || !useAVX512BF16 {
		dotEachBF16(sums, x, apart, y, across, n)
		return
	}
	dotRowsBF16AVX512BF16(&sums[0], unsafe.SliceData(x), 2*apart, unsafe.SliceData(y), 2*across, n, len(sums))
}

func clearRows(x []float32, apart int, counts []int, n int) {
	f := clearRowsAVX2
	switch {
	case useAVX512:
		f = clearRowsAVX512
	case !useAVX2:
		clearEach(x, apart, counts, n)
		return
	}
	f(unsafe.SliceData(x), 4*apart, &counts[0], len(counts), n)
}
