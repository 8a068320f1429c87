package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// needPairs skips where no processor instruction multiplies pairs.
func needPairs(t *testing.T) {
	t.Helper()
	if HasBF16() {
		return
	}
	for _, v := range []string{"AGORA_REQUIRE_AVX512BF16", "AGORA_REQUIRE_AMX"} {
		if os.Getenv(v) == "1" {
			t.Fatal(v + "=1, but this processor or build has no products of bfloat16")
		}
	}
	t.Skip("this processor or build has no products of bfloat16")
}

func bf16(x float32) uint16  { return uint16(math.Float32bits(x) >> 16) }
func wide(h uint16) float64  { return float64(math.Float32frombits(uint32(h) << 16)) }
func nan16() uint16          { return 0x7fc0 }
func isNaN16(h uint16) bool  { return h&0x7fff > 0x7f80 }
func pairsOf(n int) []uint16 { return make([]uint16, n) }

// A pairProblem is one product of bfloat16 matrices in memory that ends with them.
type pairProblem struct {
	transA, transB, acc, rounded bool
	m, n, k, lda, ldb, ldc, from int
	a, b                         []uint16
	alpha                        float32
	wideA, wideB                 []float32 // in place of a or b: it is what they round to
	c32                          []float32
	c16                          []uint16
	memory32                     []float32
	memory16                     []uint16
}

func (p *pairProblem) String() string {
	return fmt.Sprintf("%dx%dx%d transA=%t transB=%t acc=%t rounded=%t lda=%d ldb=%d ldc=%d, f32 a %t, b %t, alpha=%g", p.m, p.n, p.k, p.transA,
		p.transB, p.acc, p.rounded, p.lda, p.ldb, p.ldc, p.wideA != nil, p.wideB != nil, p.alpha)
}

func newPairProblem(t testing.TB, r *rand.Rand, m, n, k int, transA, transB, acc, rounded bool) *pairProblem {
	p := &pairProblem{transA: transA, transB: transB, acc: acc, rounded: rounded, m: m, n: n, k: k}
	fill := func(rows, cols int, trans, even bool) ([]uint16, int) {
		if trans {
			rows, cols = cols, rows
		}
		ld := cols + r.IntN(4)
		if even {
			ld += ld & 1
		}
		offset := r.IntN(4)
		s := pageend.Of[uint16](t, offset+(rows-1)*ld+cols)[offset:]
		for i := range s {
			s[i] = bf16(r.Float32()-0.5) | 1 // not 0, so that its neighbors round to it
		}
		return s, ld
	}
	p.a, p.lda = fill(m, k, transA, !transA)
	p.b, p.ldb = fill(k, n, transB, transB)
	if p.alpha = 1; r.IntN(2) == 0 {
		p.alpha = -0.375
	}
	switch r.IntN(3) {
	case 0:
		p.wideA = rounding32(t, r, p.a)
	case 1:
		p.wideB = rounding32(t, r, p.b)
	}
	p.ldc = n + r.IntN(4)
	p.from = guard + r.IntN(4)
	size := p.from + (m-1)*p.ldc + n + guard
	p.memory16, p.memory32 = pairsOf(size), make([]float32, size)
	for i := range size {
		p.memory16[i], p.memory32[i] = nan16(), float32(math.NaN())
	}
	p.c16, p.c32 = p.memory16[p.from:size-guard], p.memory32[p.from:size-guard]
	if acc {
		for i := range m {
			for j := range n {
				x := bf16(r.Float32() - 0.5)
				p.c16[i*p.ldc+j], p.c32[i*p.ldc+j] = x, float32(wide(x))
			}
		}
	}
	return p
}

// rounding32 gives numbers that round to those of s.
func rounding32(t testing.TB, r *rand.Rand, s []uint16) []float32 {
	x := pageend.Of[float32](t, len(s))
	for i, h := range s {
		x[i] = math.Float32frombits(uint32(h)<<16 + uint32(r.IntN(0xfffe)) - 0x7fff)
	}
	return x
}

type pairMultiplier interface {
	Bgemm(transA, transB bool, m, n, k int, alpha float32, a, b, c Matrix, acc bool) bool
}

// run computes with e and checks every word of C's memory against float64.
func (p *pairProblem) run(t *testing.T, e pairMultiplier) {
	t.Helper()
	before := append([]float32(nil), p.c32...)
	c := F32(p.c32, p.ldc)
	if p.rounded {
		c = BF16(p.c16, p.ldc)
	}
	a, b := BF16(p.a, p.lda), BF16(p.b, p.ldb)
	if p.wideA != nil {
		a = F32(p.wideA, p.lda)
	}
	if p.wideB != nil {
		b = F32(p.wideB, p.ldb)
	}
	if !e.Bgemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, a, b, c, p.acc) {
		t.Fatalf("%v: not done", p)
	}
	sa, ka := p.lda, 1
	if p.transA {
		sa, ka = 1, p.lda
	}
	kb, sb := p.ldb, 1
	if p.transB {
		kb, sb = 1, p.ldb
	}
	for i := range p.m {
		for j := range p.n {
			want, size := exactSum(p.acc, before[i*p.ldc+j], p.k, func(l int) float64 {
				return float64(p.alpha) * wide(p.a[i*sa+l*ka]) * wide(p.b[l*kb+j*sb])
			})
			bound := size * 0x1p-24 * (4 + 2*math.Sqrt(float64(p.k)))
			at := i*p.ldc + j
			got := float64(p.c32[at])
			if p.rounded {
				got = wide(p.c16[at])
				bound += math.Abs(want) * 0x1.01p-8 // half of the last of 8 bits
			}
			if !(math.Abs(got-want) <= bound) {
				t.Fatalf("%v: C[%d,%d] = %v, want %v within %.2g", p, i, j, got, want, bound)
			}
			p.c32[at], p.c16[at] = float32(math.NaN()), nan16()
		}
	}
	for i := range p.memory32 {
		if !math.IsNaN(float64(p.memory32[i])) || !isNaN16(p.memory16[i]) {
			t.Fatalf("%v: wrote at word %d outside C", p, i-p.from)
		}
	}
}

// everyPairProblem runs sizes around the edges of tiles, blocks and tasks in all layouts.
func everyPairProblem(t *testing.T, e pairMultiplier, sizes [][3]int) {
	t.Helper()
	r := rand.New(rand.NewPCG(20, 20))
	for _, s := range sizes {
		for bits := range 16 {
			newPairProblem(t, r, s[0], s[1], s[2], bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0).run(t, e)
		}
	}
}

// multiplied are the sizes with k as the kernel multiplies it.
func multiplied(sizes [][3]int) [][3]int {
	for i := range sizes {
		sizes[i][2] = roundUp(sizes[i][2], pairKernels()[0].along())
	}
	return sizes
}

func TestPairTileEdges(t *testing.T) {
	needPairs(t)
	var sizes [][3]int
	kn := pairKernels()[0]
	heights := []int{kn.rows + 1, 2*kn.rows + 1}
	for rows := 2; rows <= kn.rows; rows++ {
		heights = append(heights, rows)
	}
	for i, m := range heights {
		for j, n := range append(edges(kn.cols), 2*kn.cols-1, 2*kn.cols+3) {
			if n > 1 {
				sizes = append(sizes, [3]int{m, n, 2 * (1 + (i*3+j)%20)})
			}
		}
	}
	everyPairProblem(t, &Workspace{}, multiplied(sizes))
}

func TestPairBlocks(t *testing.T) {
	needPairs(t)
	kc := 2 * pairKernels()[0].kc
	sizes := [][3]int{{17, 37, kc - 2}, {17, 37, kc}, {17, 37, kc + 2}, {16, 70, 2*kc + 10}}
	if testing.Short() {
		sizes = [][3]int{{7, 19, kc}, {7, 19, 2*kc + 10}}
	}
	everyPairProblem(t, &Workspace{}, multiplied(sizes))
}

func TestPairsOnATeam(t *testing.T) {
	needPairs(t)
	sizes := [][3]int{{64, 300, 96}, {300, 64, 96}, {20, 300, 1100}, {333, 32, 1030}, {700, 40, 258}, {96, 1030, 130},
		{290, 300, 130}}
	counts := []int{2, 3}
	if testing.Short() { // as with the detector of races
		sizes, counts = [][3]int{{20, 300, 130}, {96, 70, 130}}, counts[1:]
	}
	defer func() { ownCuts = true }()
	for _, ownCuts = range []bool{true, false} {
		for _, threads := range counts {
			team := parallel.New(threads)
			everyPairProblem(t, NewOn(team), multiplied(sizes))
			team.Close()
		}
	}
}

// Panels of one stretch of k after the other: a bfloat16 C is rounded once.
func TestPairStretches(t *testing.T) {
	needPairs(t)
	was := sharedLimit
	sharedLimit, ownCuts = 1<<12, false
	defer func() { sharedLimit, ownCuts = was, true }()
	team := parallel.New(2)
	defer team.Close()
	sizes := [][3]int{{333, 40, 1030}, {20, 300, 1100}}
	if testing.Short() {
		sizes = [][3]int{{70, 17, 1030}, {9, 70, 1100}}
	}
	everyPairProblem(t, NewOn(team), multiplied(sizes))
}

// The number of threads does not change a bit.
func TestPairsSameBits(t *testing.T) {
	needPairs(t)
	r := rand.New(rand.NewPCG(21, 21))
	sizes := [][3]int{{333, 260, 1100}, {64, 700, 96}, {30, 290, 1100}}
	if testing.Short() {
		sizes = [][3]int{{96, 70, 132}, {20, 90, 1100}}
	}
	for _, s := range sizes {
		for bits := range 8 {
			p := newPairProblem(t, r, s[0], s[1], s[2], bits&1 != 0, bits&2 != 0, false, bits&4 != 0)
			var want []float32
			for _, threads := range []int{1, 2, 5} {
				team := parallel.New(threads)
				c := make([]float32, p.m*p.n)
				half := make([]uint16, p.m*p.n)
				to := F32(c, p.n)
				if p.rounded {
					to = BF16(half, p.n)
				}
				NewOn(team).Bgemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, BF16(p.a, p.lda), BF16(p.b, p.ldb), to, false)
				team.Close()
				for i, h := range half {
					if p.rounded {
						c[i] = float32(wide(h))
					}
				}
				if want == nil {
					want = c
				}
				for i := range c {
					if c[i] != want[i] {
						t.Fatalf("%v: element %d is %v with %d threads, %v with one", p, i, c[i], threads, want[i])
					}
				}
			}
		}
	}
}

// What is not covered is left alone.
func TestPairsRefused(t *testing.T) {
	e := New(1)
	defer e.Close()
	a, b, c := pairsOf(64), pairsOf(64), make([]float32, 64)
	for _, s := range []struct {
		m, n, k, lda, ldb int
		transA, transB    bool
	}{
		{1, 4, 4, 4, 4, false, false}, {4, 1, 4, 4, 1, false, false}, {4, 4, 3, 4, 4, false, false},
		{4, 4, 4, 5, 4, false, false}, {4, 4, 4, 4, 5, false, true}, {4, 4, 0, 4, 4, false, false},
	} {
		if e.Bgemm(s.transA, s.transB, s.m, s.n, s.k, 1, BF16(a, s.lda), BF16(b, s.ldb), F32(c, 4), false) {
			t.Errorf("%+v was done", s)
		}
	}
}
