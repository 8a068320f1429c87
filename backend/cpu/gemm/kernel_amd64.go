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
	if cpulevel.Chosen() < cpulevel.AVX2 {
		return list
	}
	type rows = [4]rowsPacker
	cols := [3]colsPacker{packColsF32, packColsF16, packColsBF16}
	rows8 := rows{packRowsF32_8, packRowsF16_8, packRowsBF16_8, nil}
	rows16 := rows{packRowsF32_16, packRowsF16_16, packRowsBF16_16, nil}
	rows32 := rows{packRowsAVX512_32, packRowsF16_32, packRowsBF16_32, nil}
	dotBlocks := blockDots
	dotBlocks[quant.Q8_0], dotBlocks[quant.Q4_0] = dotsQ8, dotsQ4
	vector := vectors{
		dots:      [3]func(sums *float32, x, b unsafe.Pointer, ld, k, rows int){dotsF32, dotsF16, dotsBF16},
		dotBlocks: dotBlocks,
		axpys4:    [3]func(y, x, b unsafe.Pointer, ld, n int){axpysF32_4, axpysF16_4, axpysBF16_4},
		axpys1:    [3]func(y, x, b unsafe.Pointer, ld, n int){axpysF32_1, axpysF16_1, axpysBF16_1},
	}
	list = append([]kernel{{
		name: "avx2", rows: 6, cols: 16, kc: 512, strip: 128, widest: 144, chunk: 96,
		narrow: tilesAVX2_8, full: tilesAVX2_16, aheadNarrow: aheadAVX2_8, aheadFull: aheadAVX2_16,
		whole: [2]wholeTiles{1: {dense: denseAVX2_6x16}}, least: 6 * denseRound,
		packers: packers{rowsNarrow: rows8, rowsFull: rows16, rowsA: rows{packRowsF32_6, packRowsF16_6, packRowsBF16_6}, colsB: cols, colsA: packCols6F32},
		vectors: vector, turned: turnedAVX2, turnedGroup: 8, turnedMost: 4, bytes: &bytesAVX2, bytesPaired: 4, bytesMost: 16,
	}}, list...)
	if cpulevel.Chosen() >= cpulevel.AVX512 {
		vector512 := vector
		vector512.dots = [3]func(sums *float32, x, b unsafe.Pointer, ld, k, rows int){dotsF32Far, dotsF16Far, dotsBF16Far}
		vector512.dotBlocks = blockDotsAVX512
		vector512.dotBlocks[quant.Q8_0], vector512.dotBlocks[quant.Q4_0] = dotsQ8AVX512, dotsQ4AVX512
		list = append([]kernel{{
			name: "avx512", rows: 14, oneSet: rowsOfOneSet(cpulevel.Ways()), cols: 32, kc: 512, strip: 256,
			narrow: tilesAVX512_16, full: tilesAVX512_32, aheadNarrow: aheadAVX512_16, aheadFull: aheadAVX512_32,
			whole: wholeAVX512, least: 7 * denseRound, packsColumns: true,
			packers: packers{rowsNarrow: rows16, rowsFull: rows32, rowsA: rows{packRowsF32_14, packRowsF16_14, packRowsBF16_14}, colsB: cols,
				colsA: packColsF32, lines: linesAVX512},
			vectors: vector512, turned: turnedAVX512, turnedGroup: 16, turnedMost: 24, bytes: &bytesAVX512, bytesPaired: turnedRows, bytesMost: 24,
		}}, list...)
	}
	return list
}()

// rowsOfOneSet is kernel.oneSet of AVX-512's, for a level-1 cache of so many ways: 12 hold ten rows beside the lines of B that pass.
func rowsOfOneSet(ways int) int {
	if ways >= 12 {
		return 10
	}
	return 7
}

var linesAVX512 = [17]linesPacker{14: transposeColumns_14, 16: transposeColumns_16}

// roundRow is roundRowGo, in AVX512_BF16 where the processor has it.
var roundRow = func() func(dst, src unsafe.Pointer, n int) {
	if cpulevel.Chosen() < cpulevel.AVX512BF16 {
		return roundRowGo
	}
	return roundRowBF16
}()

// pairKernels has the kernel of Bgemm, if there is one.
var pairKernels = sync.OnceValue(func() []kernel {
	level := cpulevel.BF16()
	if level < cpulevel.AVX512BF16 {
		return nil
	}
	packers := packers{
		rowsNarrow: [4]rowsPacker{formatPairs: packPairs_16}, rowsFull: [4]rowsPacker{formatPairs: packPairs_32},
		rowsA: [4]rowsPacker{formatPairs: packPairs_14}, colsB: [3]colsPacker{packColsF32}, colsA: packColsF32, lines: linesAVX512,
	}
	if level == cpulevel.AMX {
		return []kernel{{
			name: "amx", rows: panelSize, cols: panelSize, kc: 512, strip: 256,
			blocks: &blocksAMX, transposePairs: transposePairs, packers: packers,
		}}
	}
	return []kernel{{
		name: "avx512bf16", rows: 14, oneSet: 7, cols: 32, kc: 512, strip: 256,
		narrow: tilesAVX512BF16_16, full: tilesAVX512BF16_32,
		aheadNarrow: aheadAVX512BF16_16, aheadFull: aheadAVX512BF16_32, halves: true,
		transposePairs: transposePairs, packers: packers, turned: turnedPairs, turnedGroup: 16, turnedMost: 24,
	}}
})

var blocksAMX = blockRoutines{{blockAMX_1x1, blockAMX_1x2}, {blockAMX_2x1, blockAMX_2x2}}

// partKernels has the kernel of products by parts, if there is one: VDPBF16PS would take three instructions, where it is
// fast, for the two multiply-adds of float32.
var partKernels = sync.OnceValue(func() []kernel {
	if cpulevel.BF16() != cpulevel.AMX {
		return nil
	}
	return []kernel{{
		name: "amx", rows: panelSize, cols: panelSize, kc: 512, strip: 256, blocks: &partsAMX, parts: &splitAVX512,
	}}
})

var (
	partsAMX    = blockRoutines{{partsAMX_1x1, partsAMX_1x2}, {partsAMX_2x1, partsAMX_2x2}}
	splitAVX512 = partPackers{row: splitRow, narrow: splitPairs_16, full: splitPairs_32, transpose: transposeWords}
)

var bytesAVX2 = [quant.Types]bytePanels{
	quant.Q8_0: {packPanelQ8_0, 0, bytesAVX2Scaled},
	quant.Q4_0: {packPanelQ4_0, 8, bytesAVX2Scaled},
	quant.Q4_K: {packPanelQ4_K, 0, bytesAVX2Groups},
	quant.Q5_K: {packPanelWholeQ5_K, 0, bytesAVX2Groups},
	quant.Q6_K: {packPanelQ6_K, 32, bytesAVX2Halves},
}

var bytesAVX512 = [quant.Types]bytePanels{
	quant.Q8_0: {packPanelVNNIQ8_0, 128, bytesAVX512Scaled},
	quant.Q4_0: {packPanelVNNIQ4_0, 8, bytesAVX512Scaled},
	quant.Q4_K: {packPanelVNNIQ4_K, 0, bytesAVX512Groups},
	quant.Q5_K: {packPanelVNNIWholeQ5_K, 0, bytesAVX512Groups},
	quant.Q6_K: {packPanelVNNIQ6_K, 32, bytesAVX512Halves},
}

// integerPaths are the best first.
var integerPaths = func() []integerPath {
	var list []integerPath
	if cpulevel.VNNI() {
		list = append(list, integerPath{"avx512vnni", &panelsVNNI, roundGroupsVNNI, 16, 1})
	}
	if cpulevel.Chosen() >= cpulevel.AVX2 {
		list = append(list, integerPath{"avx2", &panelsAVX2, roundGroupsAVX2, 8, streamedRows})
	}
	return list
}()

var panelsAVX2 = [quant.Types]panelKind{
	quant.Q8_0: {packPanelQ8_0, multiplyBytes, panelsQ8_0, 0},
	quant.Q4_0: {packPanelQ4_0, multiplyNibbles, panelsQ4_0, 8},
	quant.Q4_K: {packPanelQ4_K, multiplyGroups, panelsQ4_K, 0},
	quant.Q5_K: {packPanelQ5_K, multiplyGroups, panelsQ5_K, 16},
	quant.Q6_K: {packPanelQ6_K, multiplyHalves, panelsQ6_K, 32},
}

var panelsVNNI = [quant.Types]panelKind{
	quant.Q8_0: {packPanelVNNIQ8_0, multiplyVNNIScaled, panelsVNNIQ8_0, 128},
	quant.Q4_0: {packPanelVNNIQ4_0, multiplyVNNIScaled, panelsVNNIQ4_0, 8},
	quant.Q4_K: {packPanelVNNIQ4_K, multiplyVNNIGroups, panelsVNNIQ4_K, 0},
	quant.Q5_K: {packPanelVNNIQ5_K, multiplyVNNIGroups, panelsVNNIQ5_K, 16},
	quant.Q6_K: {packPanelVNNIQ6_K, multiplyVNNIHalves, panelsVNNIQ6_K, 32},
}
