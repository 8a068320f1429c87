//go:build !noasm

package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
)

var kernels = func() []kernel {
	list := []kernel{portable}
	if cpulevel.Chosen() < cpulevel.NEON {
		return list
	}
	vector := portable.vectors
	vector.dots[formatF32], vector.dots[formatBF16] = dotsNEONF32, dotsNEONBF16
	return append([]kernel{{
		name: "neon", rows: 6, cols: 16, kc: 512, strip: 128,
		narrow: wholeOnly(tilesNEON_8, 8), full: wholeOnly(tilesNEON_16, 16),
		packers: packers{
			rowsNarrow: [4]rowsPacker{goRows(formatF32, 8), goRows(formatF16, 8), goRows(formatBF16, 8)},
			rowsFull:   [4]rowsPacker{goRows(formatF32, 16), goRows(formatF16, 16), goRows(formatBF16, 16)},
			rowsA:      goRows(formatF32, 6),
			colsB:      [3]colsPacker{formatF32: packColsNEONF32, formatBF16: packColsNEONBF16},
		},
		vectors: vector,
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
