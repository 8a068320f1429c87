// Package gemm multiplies matrices: C (+)= op(A) op(B), all row-major, A and C
// in float32, B in float32, in a 16-bit format or in quantized blocks, which are
// widened exactly.
//
// A micro-kernel computes a tile of C (6x16 with AVX2, 14x32 with AVX-512) out
// of rows of A and a packed panel of B. A worker takes a strip of C's columns,
// packs a block of B's rows for it, and runs all rows of A against it, some at a time
// panel by panel where that keeps the panel in the level-1 cache; there is no barrier between blocks, and the last
// strips are narrower, or of half of the rows, so that all end together. Where strips would be too few, each
// thread has one task if those are about as large, else B is packed once by everybody
// and the rows are cut too. Where rows of A are few, those of a transposed B are turned
// in registers and no panel is written, but of a quantized B one of bytes. Every element of C is
// summed over k in an order that the shape alone decides, so that the number of
// threads cannot change a bit. Where the processor multiplies pairs of bfloat16 numbers fast, matrices of
// them are multiplied so, by the same cuts and packed panels (Bgemm).
package gemm

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// A Matrix is the operand B, in one of the formats it may be stored in.
type Matrix struct {
	format format
	data   unsafe.Pointer
	len    int // elements
	ld     int
}

type format uint8

const (
	formatF32 format = iota
	formatF16
	formatBF16
	formatPairs  // bfloat16, an element being two neighbors in a column: bf16.go
	formatBlocks // that of the first of quant's kinds of blocks; the others follow: quant.go
)

// size is the bytes of one element.
func (f format) size() int {
	if f == formatF32 {
		return 4
	}
	return 2
}

// F32 is a float32 matrix whose rows begin ld elements apart.
func F32(data []float32, ld int) Matrix {
	return Matrix{formatF32, unsafe.Pointer(unsafe.SliceData(data)), len(data), ld}
}

// F16 is a matrix of IEEE half-precision numbers.
func F16(data []uint16, ld int) Matrix {
	return Matrix{formatF16, unsafe.Pointer(unsafe.SliceData(data)), len(data), ld}
}

// BF16 is a matrix of bfloat16 numbers, the upper halves of float32.
func BF16(data []uint16, ld int) Matrix {
	return Matrix{formatBF16, unsafe.Pointer(unsafe.SliceData(data)), len(data), ld}
}

// at is the address of element i.
func (b *Matrix) at(i int) unsafe.Pointer {
	return unsafe.Add(b.data, i*b.format.size())
}

// A Team runs the tasks 0 to n-1 of a product, several at a time, and returns when all are done. The worker
// that runs a task is a number below Threads, and runs one at a time. Stream is Run for tasks that read memory in their
// order: it may give each worker those that are neighbours.
type Team interface {
	Threads() int
	Run(n int, f func(worker, task int))
	Stream(n int, f func(worker, task int))
}

// An Engine multiplies with a team of goroutines. Its scratch memory grows to
// the largest product it has seen and stays.
type Engine struct {
	team   Team
	close  func() // of a team of its own
	kernel *kernel
	busy   sync.Mutex
	now    product     // under way
	ws     []Workspace // by worker
	strips *panels     // the workers' own panels of B
	shared *panels     // that all workers read
	edges  []int       // columns where the strips begin
	single sync.Pool   // of *Workspace, for callers that find the engine busy
	wide   []float32   // a bfloat16 C that several stretches of k add to
	rounds rounds      // a float32 operand of Bgemm

	// The product of one row or column that is under way, and rowPart, made once: a token is one such product after another.
	row     vectorProduct
	rowTask func(worker, task int)
	// The same of a product of few rows.
	few        turnedProduct
	turnedTask func(worker, task int)

	// RoundRows has products with transposed quantized matrices computed in integers, with the rows of A rounded to eight
	// bits, where Integers names a way. Set it before the first product.
	RoundRows bool
	integers  *integerPath
	rounded   roundedMemory

	// ByParts has products of float32 computed by two parts of bfloat16 each, where HasParts. Set it before the first product.
	ByParts   bool
	partsOnce sync.Once
	ofParts   *Engine

	pairsOnce sync.Once
	ofPairs   *Engine // see Bgemm
}

// New returns an engine with so many threads, as many as the processor has if 0. It uses the best kernel that
// the processor has (Kernel). Close it to end its goroutines.
func New(threads int) *Engine {
	team := parallel.New(threads)
	e := newEngine(team, kernels[0])
	e.close = team.Close
	return e
}

// NewOn returns an engine that uses a team of the caller's.
func NewOn(team Team) *Engine { return newEngine(team, kernels[0]) }

func newEngine(team Team, k kernel) *Engine {
	e := &Engine{team: team, close: func() {}, kernel: &k, ws: make([]Workspace, team.Threads())}
	for i := range e.ws {
		e.ws[i].kernel = &k
	}
	if len(integerPaths) > 0 {
		e.integers = &integerPaths[0]
	}
	e.rowTask, e.turnedTask = e.rowPart, e.turnedShare
	e.single.New = func() any { return &Workspace{kernel: &k} }
	return e
}

// Close ends the engine's goroutines; not those of a caller's team.
func (e *Engine) Close() { e.close() }

// Sgemm computes C = op(A) op(B), or C += op(A) op(B) where acc is set; op
// transposes where transA or transB says so. op(A) is [m, k], op(B) [k, n], C
// [m, n]. Without acc, C is never read. It panics if a slice is too short or a
// row stride smaller than a row.
//
// A call during another call computes alone on its own goroutine, with the same
// result.
func (e *Engine) Sgemm(transA, transB bool, m, n, k int, a []float32, lda int, b Matrix, c []float32, ldc int,
	acc bool) {
	p := newProduct(transA, transB, m, n, k, 1, a, lda, b, c, ldc, acc)
	if e.ByParts && p.byParts() && !e.inIntegers(&p) {
		e.parts().run(p.inParts())
		return
	}
	e.run(p)
}

func (e *Engine) run(p product) {
	if p.trivial() {
		return
	}
	if !e.busy.TryLock() {
		w := e.single.Get().(*Workspace)
		defer e.single.Put(w)
		w.run(p)
		return
	}
	defer e.end()
	e.now = p
	e.share(&e.now)
}

// end forgets the product, whose matrices' memory may go now.
func (e *Engine) end() {
	e.now, e.row = product{}, vectorProduct{}
	e.busy.Unlock()
}

// share computes with the team.
func (e *Engine) share(p *product) {
	switch {
	case e.inIntegers(p):
		e.panelProducts(p)
	case p.m == 1 || p.n == 1: // never of pairs
		e.vector(p)
	case p.m*p.n*p.k <= alone:
		e.ws[0].run(*p)
	case p.turned(e.kernel):
		e.turned(p)
	default:
		e.matrix(p)
	}
}

// alone is the number of multiplications below which waking others costs more
// than it gains: a few microseconds.
const alone = 64 * 64 * 64

// A Workspace multiplies on the calling goroutine, with scratch memory of its
// own: the form to use inside the tasks of another kernel. The zero Workspace is
// ready; one goroutine at a time may use it.
type Workspace struct {
	kernel *kernel
	tile   tile
	// ahead is the bytes from a tile's rows of A to those that are read next, and next the same for the last of a chunk; 0:
	// unknown, or not behind each other, or in a cache already.
	ahead, next int
	a, b        []float32 // panels of A and B
	c           []float32 // what becomes a bfloat16 C
	rounds      rounds    // a float32 operand of Bgemm
	rounding
	pairs *Workspace // see Bgemm
	wide  []float32  // a piece of a B that is not float32
	// ByParts is Engine.ByParts.
	ByParts bool
	ofParts *Workspace
	part    partMemory
	block   block // of a kernel of blocks
	// scaled is what such a kernel computes before it is multiplied by alpha.
	scaled []float32
	rows   [8]unsafe.Pointer // argument of the transposing packer
	x      []float32         // a vector gathered out of a column
	sums   [vectorChunk]float32
	spill  [96]float32 // a tile that is not whole
	// ends are those of the tiles of a product whose rows have ends of their own, so many rows each: ragged.go.
	ends     []int
	pairEnds []int
	tileRows int
	panelRoom
}

// Bytes is the size of the scratch memory that the engine holds.
func (e *Engine) Bytes() int {
	n := e.shared.bytes() + 4*cap(e.wide) + 2*cap(e.rounds) + 4*cap(e.rounded.words)
	for i := range e.ws {
		n += e.ws[i].Bytes()
	}
	for _, of := range []*Engine{e.ofPairs, e.ofParts} {
		if of != nil {
			n += of.Bytes()
		}
	}
	return n
}

// Bytes is the size of the scratch memory.
func (w *Workspace) Bytes() int {
	n := 4*(cap(w.a)+cap(w.b)+cap(w.c)+cap(w.wide)+cap(w.x)+cap(w.scaled)) + 2*cap(w.rounds) + w.part.bytes() + w.panelRoom.bytes()
	for _, of := range []*Workspace{w.pairs, w.ofParts} {
		if of != nil {
			n += of.Bytes()
		}
	}
	return n
}

// Sgemm is Engine.Sgemm on this goroutine.
func (w *Workspace) Sgemm(transA, transB bool, m, n, k int, a []float32, lda int, b Matrix, c []float32, ldc int,
	acc bool) {
	w.SgemmAlpha(transA, transB, m, n, k, 1, a, lda, b, c, ldc, acc)
}

// SgemmAlpha is Sgemm with the product times alpha.
func (w *Workspace) SgemmAlpha(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b Matrix,
	c []float32, ldc int, acc bool) {
	p := newProduct(transA, transB, m, n, k, alpha, a, lda, b, c, ldc, acc)
	if w.ByParts && p.byParts() {
		w.runParts(p)
		return
	}
	w.run(p)
}

func (w *Workspace) run(p product) {
	if w.kernel == nil {
		w.kernel = &kernels[0]
	}
	switch {
	case p.trivial():
	case p.m == 1 || p.n == 1:
		w.vector(&p)
	case p.turned(w.kernel):
		w.turned(&p)
	default:
		w.matrix(&p)
	}
}

// A product is one checked call.
type product struct {
	transA, transB bool
	m, n, k        int
	given          int // k of a product by parts, before it was rounded up to whole tiles
	alpha          float32
	a              Matrix
	wideA          Matrix // in the place of a: float32 that becomes bfloat16, not transposed
	b              Matrix
	c              unsafe.Pointer
	ldc            int
	acc            bool
	to             format // of C; formatPairs: bfloat16, rounded as products of pairs are
	plus           Matrix // is added to a C in 16 bits, if there is one: SgemmHalf
}

func newProduct(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b Matrix, c []float32, ldc int,
	acc bool) product {
	return checkedProduct(transA, transB, m, n, k, alpha, F32(a, lda), b, F32(c, ldc), acc)
}

func checkedProduct(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) product {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("gemm: negative size in m=%d, n=%d, k=%d", m, n, k))
	}
	for _, fault := range []string{a.fault("A", m, k, transA), b.fault("B", k, n, transB), c.fault("C", m, n, false)} {
		if fault != "" {
			panic("gemm: " + fault)
		}
	}
	return product{
		transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, a: a, b: b, c: c.data, ldc: c.ld, to: c.format, acc: acc,
	}
}

// fault says why the matrix cannot hold op(X) of the given size, if it cannot.
func (b Matrix) fault(name string, rows, cols int, trans bool) string {
	if trans {
		rows, cols = cols, rows
	}
	if b.ld < max(1, cols) {
		return fmt.Sprintf("%s: row stride %d is smaller than a row of %d", name, b.ld, cols)
	}
	if b.format.inBlocks() && b.ld%b.format.blocks().Len() != 0 {
		return fmt.Sprintf("%s: row stride %d is not a multiple of a block of %d", name, b.ld, b.format.blocks().Len())
	}
	if rows > 0 && cols > 0 && b.len < (rows-1)*b.ld+cols {
		return fmt.Sprintf("%s: %d elements do not hold %d rows of %d, %d apart", name, b.len, rows, cols, b.ld)
	}
	return ""
}

// trivial deals with empty matrices and empty sums.
func (p *product) trivial() bool {
	if p.m == 0 || p.n == 0 {
		return true
	}
	if p.k > 0 {
		return false
	}
	if !p.acc {
		for i := range p.m {
			clear(p.cRow(i))
		}
	}
	return true
}

// rounded reports whether C is in 16 bits.
func (p *product) rounded() bool { return p.to != formatF32 }

// cRow is a row of C.
func (p *product) cRow(i int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(p.c, 4*i*p.ldc)), p.n)
}
