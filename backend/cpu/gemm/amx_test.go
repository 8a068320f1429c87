package gemm

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// modelAMX is the kernel for AMX with tiles in plain Go, so that layouts and cuts are tested on any machine.
var modelAMX = kernel{
	name: "amx model", rows: panelSize, cols: panelSize, kc: 512, strip: 256,
	blocks: &blockRoutines{{modelBlock, modelBlock}, {modelBlock, modelBlock}},
	packers: packers{
		rowsNarrow: [4]rowsPacker{formatPairs: goPairs(tileSize)}, rowsFull: [4]rowsPacker{formatPairs: goPairs(panelSize)},
	},
}

func goPairs(width int) rowsPacker {
	return func(dst, src unsafe.Pointer, ld, k, panels, size int) {
		for i := range k {
			for p := range panels {
				for j := range width {
					low := unsafe.Add(src, i*ld+2*(p*width+j))
					*(*uint32)(unsafe.Add(dst, p*size+4*(i*width+j))) = uint32(*(*uint16)(low)) |
						uint32(*(*uint16)(unsafe.Add(low, ld/2)))<<16
				}
			}
		}
	}
}

// A modelTile is a tile as its configuration has it: rows of so many bytes.
type modelTile struct {
	rows, bytes int
	data        [16][64]byte
}

func (t *modelTile) move(p unsafe.Pointer, stride int, store bool) {
	for r := range t.rows {
		memory := unsafe.Slice((*byte)(unsafe.Add(p, r*stride)), t.bytes)
		if store {
			copy(memory, t.data[r][:])
		} else {
			copy(t.data[r][:], memory)
		}
	}
}

func (t *modelTile) float(r, i int) *float32 { return (*float32)(unsafe.Pointer(&t.data[r][4*i])) }

// wide are the tile's numbers of bfloat16.
func (t *modelTile) wide() (x [16][32]float32) {
	for r := range t.rows {
		for i := range t.bytes / 2 {
			x[r][i] = flushed(math.Float32frombits(uint32(*(*uint16)(unsafe.Pointer(&t.data[r][2*i]))) << 16))
		}
	}
	return x
}

// flushed is x, or a zero of its sign in the place of a denormal number.
func flushed(x float32) float32 {
	if math.Abs(float64(x)) < 0x1p-126 {
		return math.Float32frombits(math.Float32bits(x) & (1 << 31))
	}
	return x
}

// multiply is TDPBF16PS (Intel SDM): sums of the even and of the odd elements, fused, rounded to nearest even, denormal
// numbers taken and given as zeros.
func (t *modelTile) multiply(a, b *modelTile) {
	if a.rows != t.rows || b.bytes != t.bytes || a.bytes != 4*b.rows || t.rows*t.bytes*b.rows == 0 {
		panic("tiles that do not fit")
	}
	x, y := a.wide(), b.wide()
	for m := range t.rows {
		for n := range t.bytes / 4 {
			var sum [2]float32
			for k := range b.rows {
				for o := range sum { // the product of two bfloat16 is exact in float64, their sum with a float32 nearly so
					sum[o] = fusedAdd(x[m][2*k+o], y[k][2*n+o], sum[o])
				}
			}
			c := t.float(m, n)
			*c = flushed(flushed(*c) + flushed(sum[0]+sum[1]))
		}
	}
}

// fusedAdd is a*b+c rounded once to float32: rounded to odd in float64 first, which leaves enough bits to round again.
func fusedAdd(a, b, c float32) float32 {
	p, x := float64(a)*float64(b), float64(c)
	s := p + x
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	v := s - p
	if low := (p - (s - v)) + (x - v); low != 0 && math.Float64bits(s)&1 == 0 {
		if (low > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	if math.Abs(s) < 0x1p-126 { // after the rounding, as without an exponent's limit
		if up := float32(s * 0x1p64); math.Abs(float64(up)) < 0x1p-62 {
			return float32(math.Copysign(0, s))
		}
	}
	return flushed(float32(s))
}

// modelBlock is what every routine of blocks means, modelParts every routine of blocks by parts.
func modelBlock(b *block) { modelBlocks(b, [][2]bool{{false, false}}) }
func modelParts(b *block) { modelBlocks(b, [][2]bool{{false, true}, {false, false}, {true, false}}) }

// modelBlocks makes one product of every tile along k, or those of its parts: of A's lo, of B's lo.
func modelBlocks(b *block, products [][2]bool) {
	var t [8]modelTile
	configure := func() {
		for i := range t {
			t[i] = modelTile{rows: int(b.config[48+i]), bytes: int(b.config[16+2*i])}
		}
	}
	configure()
	rows, cols := 1, 1
	if t[2].rows > 0 {
		rows = 2
	}
	if t[1].rows > 0 {
		cols = 2
	}
	for r := range b.rows {
		for p := range b.panels {
			configure()
			a, from := unsafe.Add(b.a, r*panelSize*b.rs), unsafe.Add(b.b, p*b.step)
			c := func(i, j int) unsafe.Pointer {
				return unsafe.Add(b.c, (r*panelSize+i*tileSize)*b.ldc+4*(p*cols+j)*tileSize)
			}
			for i := range rows {
				for j := range cols {
					if b.acc != 0 {
						t[2*i+j].move(c(i, j), b.ldc, false)
					}
				}
			}
			for k := range b.k {
				stepA := 64
				if len(products) > 1 {
					stepA = 128
				}
				for _, lo := range products {
					atA, atB := unsafe.Add(a, stepA*k), unsafe.Add(from, k*tileSize*b.bs)
					if lo[0] {
						atA = unsafe.Add(atA, 64)
					}
					if lo[1] {
						atB = unsafe.Add(atB, 64*cols)
					}
					for i := range rows {
						t[4+i].move(unsafe.Add(atA, i*tileSize*b.rs), b.rs, false)
					}
					for j := range cols {
						t[6+j].move(unsafe.Add(atB, 64*j), b.bs, false)
					}
					for i := range rows {
						for j := range cols {
							t[2*i+j].multiply(&t[4+i], &t[6+j])
						}
					}
				}
			}
			for i := range rows {
				for j := range cols {
					t[2*i+j].move(c(i, j), b.ldc, true)
				}
			}
		}
	}
}

// A modelEngine multiplies with the model, on a team or, if it is nil, as a workspace.
type modelEngine struct{ e *Engine }

func (m modelEngine) Bgemm(transA, transB bool, rows, cols, k int, alpha float32, a, b, c Matrix, acc bool) bool {
	if !checkPairs(transA, transB, rows, cols, k, a, b, c) {
		return false
	}
	if m.e == nil {
		(&Workspace{kernel: &modelAMX}).multiplyPairs(transA, transB, rows, cols, k, alpha, a, b, c, acc)
		return true
	}
	m.e.bgemm(transA, transB, rows, cols, k, alpha, a, b, c, acc)
	return true
}

func TestTileModel(t *testing.T) {
	var sizes [][3]int
	for i, m := range []int{2, 15, 16, 17, 31, 32, 33, 48, 65} {
		for j, n := range []int{2, 16, 17, 31, 32, 33, 49, 70} {
			if (i+j)%3 == 0 && (m < 40 || !testing.Short()) {
				sizes = append(sizes, [3]int{m, n, []int{2, 30, 32, 34, 64, 94}[(i+2*j)%6]})
			}
		}
	}
	sizes = append(sizes, [3]int{5, 290, 34})
	if !testing.Short() {
		sizes = append(sizes, [3]int{17, 3, 1022}, [3]int{3, 37, 1026}, [3]int{5, 18, 2058})
	}
	everyPairProblem(t, modelEngine{}, sizes)
}

func TestTileModelOnATeam(t *testing.T) {
	sizes := [][3]int{{64, 300, 34}, {6, 300, 1100}, {140, 1030, 6}, {600, 40, 18}, {34, 200, 1030}}
	if testing.Short() {
		sizes = [][3]int{{20, 300, 34}, {96, 70, 66}}
	}
	defer func() { ownCuts = true }()
	for _, ownCuts = range []bool{true, false} {
		team := parallel.New(3)
		everyPairProblem(t, modelEngine{newEngine(team, modelAMX)}, sizes)
		team.Close()
	}
}

// Denormal numbers and what is too large are as Intel says.
func TestTileModelOfNumbers(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct{ a, b, c, want float32 }{
		{0x1p-130, 0x1p100, 0, 0},                    // an operand
		{0x1p-100, 0x1p-30, 0, 0},                    // a product
		{0x1p-100, 0x1p-30, 0x1p-126, 0x1.1p-126},    // but not within a sum
		{0x1p-100, 0x1p-30, -0x1p-126, 0},            // nor as one
		{0x1.fp100, 0x1p27, 0, 0x1.fp127},            // just not
		{0x1p100, 0x1p28, 0, inf},                    // too large
		{0x1p64, 0x1p64, -0x1p127, 0x1p127},          // but not within a sum
		{0x1.01p0, 0x1.01p0, 0x1p24, 0x1.000002p+24}, // rounded once
	} {
		if got := fusedAdd(flushed(c.a), flushed(c.b), c.c); got != c.want {
			t.Errorf("%g*%g+%g = %g, want %g", c.a, c.b, c.c, got, c.want)
		}
	}
	var a, b, to modelTile
	a.rows, a.bytes, b.rows, b.bytes, to.rows, to.bytes = 1, 4, 1, 4, 1, 4
	*a.float(0, 0), *b.float(0, 0) = 1, math.Float32frombits(uint32(bf16(2))<<16|1) // 0*denormal + 1*2
	*to.float(0, 0) = 0x1p-130
	if to.multiply(&a, &b); *to.float(0, 0) != 2 {
		t.Errorf("got %g, want 2", *to.float(0, 0))
	}
}

// The number of threads does not change a bit of the model's products.
func TestTileModelSameBits(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 31))
	for bits := range 8 {
		if testing.Short() && bits%3 != 0 {
			continue
		}
		p := newPairProblem(t, r, 35, 90, 1060, bits&1 != 0, bits&2 != 0, false, bits&4 != 0)
		var want []float32
		for _, threads := range []int{1, 2, 5} {
			team := parallel.New(threads)
			half, c := make([]uint16, p.m*p.n), make([]float32, p.m*p.n)
			to := F32(c, p.n)
			if p.rounded {
				to = BF16(half, p.n)
			}
			modelEngine{newEngine(team, modelAMX)}.Bgemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, BF16(p.a, p.lda),
				BF16(p.b, p.ldb), to, false)
			team.Close()
			for i := range c {
				if p.rounded {
					c[i] = float32(wide(half[i]))
				}
				if want != nil && c[i] != want[i] {
					t.Fatalf("%v: element %d is %v with %d threads, %v with one", p, i, c[i], threads, want[i])
				}
			}
			if want == nil {
				want = c
			}
		}
	}
}
