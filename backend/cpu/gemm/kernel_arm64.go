//go:build !noasm

package gemm

import (
	"sync"
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
	"github.com/agora-ml/agora/internal/quant"
)

var kernels = func() []kernel {
	list := []kernel{portable}
	if cpulevel.Chosen() < cpulevel.NEON {
		return list
	}
	type rows = [4]rowsPacker
	return append([]kernel{{
		name: "neon", rows: 6, cols: 16, kc: 512, strip: 128,
		narrow: wholeOnly(tilesNEON_8, 8), full: wholeOnly(tilesNEON_16, 16),
		packers: packers{
			rowsNarrow: rows{packRowsNEONF32_8, packRowsNEONF16_8, packRowsNEONBF16_8},
			rowsFull:   rows{packRowsNEONF32_16, packRowsNEONF16_16, packRowsNEONBF16_16},
			rowsA:      [4]rowsPacker{packRowsNEONF32_6},
			colsB:      [3]colsPacker{packColsNEONF32, packColsNEONF16, packColsNEONBF16},
			colsA:      packCols6NEONF32,
		},
		vectors: vectors{
			dots:      [3]func(sums *float32, x, b unsafe.Pointer, ld, k, rows int){dotsNEONF32, dotsNEONF16, dotsNEONBF16},
			dotBlocks: blockDots,
			axpys4:    [3]func(y, x, b unsafe.Pointer, ld, n int){axpysNEONF32_4, axpysNEONF16_4, axpysNEONBF16_4},
			axpys1:    [3]func(y, x, b unsafe.Pointer, ld, n int){axpysNEONF32_1, axpysNEONF16_1, axpysNEONBF16_1},
		},
	}}, list...)
}()

// wholeOnly has micro-kernels that store whole tiles store the others in tile.spill, from which they are copied.
func wholeOnly(whole []func(*tile), width int) []func(*tile) {
	all := []func(*tile){nil}
	for rows := 1; rows < len(whole); rows++ {
		f := whole[rows]
		all = append(all, func(t *tile) {
			if t.cols == width {
				f(t)
				return
			}
			c, ldc, acc := t.c, t.ldc, t.acc
			t.c, t.ldc, t.acc = unsafe.Pointer(t.spill), 4*width, false
			f(t)
			t.c, t.ldc, t.acc = c, ldc, acc
			for i := range rows {
				to := unsafe.Slice((*float32)(unsafe.Add(c, i*ldc)), t.cols)
				for j, s := range t.spill[i*width:][:t.cols] {
					if acc {
						s += to[j]
					}
					to[j] = s
				}
			}
		})
	}
	return all
}

// integerPaths are the best first.
var integerPaths = func() []integerPath {
	var list []integerPath
	if cpulevel.I8MM() {
		list = append(list, integerPath{"neoni8mm", &panelsI8MM, roundGroupsNEON, 8, streamedRows})
	}
	if cpulevel.DotProd() {
		list = append(list, integerPath{"neondotprod", &panelsDotProd, roundGroupsNEON, 8, streamedRows})
	}
	return list
}()

var panelsDotProd = [quant.Types]panelKind{
	quant.Q8_0: {packPanelNEONQ8_0, multiplyNEONBytes, panelsNEONQ8_0, 0},
	quant.Q4_0: {packPanelNEONQ4_0, multiplyNEONBytes, panelsNEONQ4_0, 8},
	quant.Q4_K: {packPanelNEONQ4_K, multiplyNEONGroups, panelsNEONQ4_K, 0},
	quant.Q5_K: {packPanelNEONQ5_K, multiplyNEONGroups, panelsNEONQ5_K, 16},
	quant.Q6_K: {packPanelNEONQ6_K, multiplyNEONHalves, panelsNEONQ6_K, 32},
}

var panelsI8MM = func() [quant.Types]panelKind {
	kinds := panelsDotProd
	for t, multiply := range map[quant.Type]func(c unsafe.Pointer, ldc int, x unsafe.Pointer, apart int, panel unsafe.Pointer,
		second, steps, rows int){
		quant.Q8_0: multiplyI8MMBytes, quant.Q4_0: multiplyI8MMBytes, quant.Q4_K: multiplyI8MMGroups,
		quant.Q5_K: multiplyI8MMGroups, quant.Q6_K: multiplyI8MMHalves,
	} {
		kinds[t].multiply = multiply
	}
	return kinds
}()

// pairKernels has the kernel of Bgemm, if there is one.
var pairKernels = sync.OnceValue(func() []kernel {
	if cpulevel.Chosen() < cpulevel.NEONBF16 {
		return nil
	}
	return []kernel{{
		name: "neonbf16", rows: 6, cols: 16, kc: 512, strip: 128, fours: true,
		narrow: wholeOnly(tilesNEONBF16_8, 8), full: wholeOnly(tilesNEONBF16_16, 16),
		packers: packers{
			rowsNarrow: [4]rowsPacker{formatPairs: packFoursNEON_8}, rowsFull: [4]rowsPacker{formatPairs: packFoursNEON_16},
			rowsA: [4]rowsPacker{formatPairs: packFoursNEON_6}, colsB: [3]colsPacker{packFourCols8NEON}, colsA: packFourCols6NEON,
		},
	}}
})

// roundRow is roundRowGo, in the instructions of bfloat16 where the processor has them.
var roundRow = func() func(dst, src unsafe.Pointer, n int) {
	if cpulevel.Chosen() < cpulevel.NEONBF16 {
		return roundRowGo
	}
	return func(dst, src unsafe.Pointer, n int) {
		whole := n &^ 7
		if whole > 0 {
			roundRowNEON(dst, src, whole)
		}
		roundRowGo(unsafe.Add(dst, 2*whole), unsafe.Add(src, 4*whole), n-whole)
	}
}()
