package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/internal/quant"
)

// A kernel is one implementation: micro-kernels, packing and vector routines for
// some instruction set.
type kernel struct {
	name string
	rows int // of the largest tile
	// oneSet is the rows of a tile of A in place, a multiple of waySize apart, if all of them are too many: rowsInPlace.
	oneSet int
	cols   int // of a full panel; a narrow one has half as many
	// tiles are the micro-kernels of narrow and of full panels, by rows.
	narrow, full []func(*tile)
	// aheadNarrow and aheadFull, if there are any, do the same for an A read where it lies, and fetch its rows behind.
	aheadNarrow, aheadFull []func(*tile)
	// whole, of narrow and of full panels, are for whole tiles with packed panels of B, k at least least.
	whole [2]wholeTiles
	least int
	// blocks, if there are any, compute in the place of micro-kernels: AMX. Panels of A are then rows of pairs.
	blocks *blockRoutines
	// transposePairs, if there is one, makes rows of pairs of 16 columns and 16n pairs of rows.
	transposePairs func(dst unsafe.Pointer, step int, src unsafe.Pointer, ld, n int)
	// parts, if there are any, split operands: blocks are then those of products by parts.
	parts *partPackers
	// fours says that micro-kernels take two steps of k at a time, fours of bfloat16: those of a column of B's panel, or of
	// a row of A's, are neighbors, and k is even.
	fours  bool
	halves bool // micro-kernels store bfloat16, where tile.half asks for it
	// packsColumns says that a transposed A is packed for one panel of B, too: its steps lie so far apart that nobody fetches
	// them ahead, and from memory a tile of AVX-512 waits for them twice as long as packing takes.
	packsColumns bool
	// kc is the depth of a block and strip the width of B's part of it: together
	// they fill a quarter to a half of the level-2 cache: on shared hosts a neighbor
	// on the same core uses it too.
	kc, strip int
	// widest, if it is more than strip, is the columns of one strip where each thread has one alone, and chunk the rows of A
	// that a panel of B is read for before the next: a tile's, if it is less.
	widest, chunk int
	// turned are the micro-kernels of a transposed B read where it lies, of turnedGroup columns, by its format and the rows of A;
	// products of up to turnedMost rows use them.
	turned                  [3][]func(*tile)
	turnedGroup, turnedMost int
	// bytes is the same of quantized kinds, of twice as many columns: of up to bytesPaired rows a micro-kernel has all of them.
	bytes                  *[quant.Types]bytePanels
	bytesPaired, bytesMost int
	packers
	vectors
}

// wholeTiles are micro-kernels of tiles without masks; any may be nil.
type wholeTiles struct {
	dense func(*tile) // of kernel.rows rows of packed A
	// inPlace and ahead are for an A read where it lies, by rows; ahead fetches the rows behind.
	inPlace, ahead []func(*tile)
}

// along is what the k of a product of bfloat16 is a multiple of, where the kernel multiplies it.
func (kn *kernel) along() int {
	if kn.fours {
		return 4
	}
	return 2
}

// place is the bytes from the beginning of a panel to its column j of step l.
func (kn *kernel) place(l, j, width int) int {
	if kn.fours {
		return 8*(l/2*width+j) + 4*(l%2)
	}
	return 4 * (l*width + j)
}

// waySize is the bytes after which addresses fall into the same set of a level-1 cache: of those of 32 KiB
// in 8 ways and of 48 KiB in 12.
const waySize = 4096

// apart is the bytes from one panel of k steps, so wide, to the next. Panels are filled side by side: a multiple of waySize
// apart their lines would push each other out of the cache.
func apart(k, width int) int {
	bytes := 4 * k * width
	if bytes%waySize == 0 {
		bytes += 128
	}
	return bytes
}

// floats is the memory of panels of k steps that hold n columns of B.
func (kn *kernel) floats(k, n int) int { return (n + kn.cols - 1) / kn.cols * apart(k, kn.cols) / 4 }

// A rowsPacker copies k rows, ld bytes apart, into panels, size bytes apart.
type rowsPacker = func(dst, src unsafe.Pointer, ld, k, panels, size int)

// A colsPacker transposes the first k elements of 8 rows, k a multiple of 4, into
// 8 columns of a panel, step bytes from one k to the next.
type colsPacker = func(dst unsafe.Pointer, step int, rows *[8]unsafe.Pointer, k int)

// A linesPacker is a colsPacker of more rows, ld bytes apart, k a multiple of 16: it writes whole lines of a panel.
type linesPacker = func(dst unsafe.Pointer, step int, src unsafe.Pointer, ld, k int)

// packers copy a matrix into panels; the indices are formats. A nil colsPacker
// leaves its work to Go.
type packers struct {
	rowsNarrow, rowsFull [4]rowsPacker // into panels of B
	colsB                [3]colsPacker
	rowsA                [4]rowsPacker // into panels as wide as a tile has rows
	colsA                colsPacker
	lines                [17]linesPacker // of float32, by their rows; nil: there is none
}

// vectors multiply a matrix with one vector; the indices are formats.
type vectors struct {
	// dots adds to the sums the products of so many rows and x, k a multiple of 8.
	dots [3]func(sums *float32, x, b unsafe.Pointer, ld, k, rows int)
	// dotBlocks is the same of blocks, k a multiple of theirs; the indices are their kinds. nil: rows are widened.
	dotBlocks [quant.Types]func(sums *float32, x, b unsafe.Pointer, ld, k, rows int)
	// axpys4 and axpys1 add multiples x[i] of that many rows to y, n a multiple of 8.
	axpys4, axpys1 [3]func(y, x, b unsafe.Pointer, ld, n int)
}

// A tile is the argument of a micro-kernel:
//
//	for i := range rows { for j := range cols {
//		sum := 0; for l := range k { sum += a[i*rs+l*ks] * b[l*bs+j] }
//		c[i*ldc+j] = alpha * sum (+ c[i*ldc+j] if acc)
//	} }
//
// with strides in bytes. A micro-kernel reads whole rows of its panel of B but
// touches only cols columns of C.
type tile struct {
	a, b, c    unsafe.Pointer
	rs, ks, bs int
	ldc        int
	k          int
	mask       unsafe.Pointer // AVX2: lane masks of a partial tile, nil for a whole one
	bits       uint64         // AVX-512: the same as bits, also for whole tiles
	alpha      float32
	acc        bool
	half       bool // c is bfloat16 (kernels with halves alone)
	cols       int
	spill      *[96]float32 // of the workspace: see wholeOnly
	ahead      int          // bytes from a to what a micro-kernel fetches: a dense one a line every denseRound of k
	skip       int          // of bytePanels: how many times four numbers of the first step are left out
	zero       byte         // of bytePanels
}

// denseRound is the steps of k in one round of a dense micro-kernel's loop.
const denseRound = 8

// laneMasks[16-n:] begins with n masks that let a lane through.
var laneMasks = func() (m [32]int32) {
	for i := range 16 {
		m[i] = -1
	}
	return m
}()

// columns says how many columns of C the next tile has, of width in its panel.
func (t *tile) columns(n, width int) {
	t.cols, t.bits, t.mask = n, 1<<n-1, nil
	if n < width {
		t.mask = unsafe.Pointer(&laneMasks[max(0, 16-n)])
	}
}

// Kernel is the name of the kernel that engines use: the fastest that this processor has.
func Kernel() string { return kernels[0].name }

// KernelBF16 is the name of the kernel that Bgemm uses; "": it has none here.
func KernelBF16() string {
	if !HasBF16() {
		return ""
	}
	return pairKernels()[0].name
}
