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

// everyKernel runs a test with each implementation this CPU has.
func everyKernel(t *testing.T, f func(t *testing.T, k kernel)) {
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

func TestAVX512IsThere(t *testing.T) {
	if os.Getenv("AGORA_REQUIRE_AVX512") == "1" && kernels[0].name != "avx512" {
		t.Fatalf("AGORA_REQUIRE_AVX512=1, but the best kernel of this CPU or build is %s", kernels[0].name)
	}
}

// A problem is one product with operands in guarded, misaligned, strided memory.
type problem struct {
	transA, transB, acc    bool
	parts                  bool // C is computed by parts
	format                 format
	m, n, k, lda, ldb, ldc int
	a, b, c                []float32
	half                   []uint16 // b, in a 16-bit format
	memory                 []float32
}

const guard = 40 // words before and after C, and beyond each row

func (p *problem) String() string {
	return fmt.Sprintf("%dx%dx%d transA=%t transB=%t acc=%t format=%d lda=%d ldb=%d ldc=%d",
		p.m, p.n, p.k, p.transA, p.transB, p.acc, p.format, p.lda, p.ldb, p.ldc)
}

func newProblem(t testing.TB, r *rand.Rand, m, n, k int, transA, transB, acc bool, f format) *problem {
	p := &problem{transA: transA, transB: transB, acc: acc, format: f, m: m, n: n, k: k}
	fill := func(rows, cols int, trans bool) ([]float32, int) {
		if trans {
			rows, cols = cols, rows
		}
		ld := cols + r.IntN(4)
		offset := r.IntN(4)
		s := pageend.Of[float32](t, offset+(rows-1)*ld+cols)[offset:] // reading on is a fault
		for i := range s {
			s[i] = r.Float32() - 0.5
		}
		return s, ld
	}
	p.a, p.lda = fill(m, k, transA)
	p.b, p.ldb = fill(k, n, transB)
	if f != formatF32 {
		p.half = pageend.Of[uint16](t, len(p.b))
		for i := range p.half {
			p.half[i] = uint16(r.Uint32())
			if v := f.wide(p.half[i]); math.IsNaN(float64(v)) || math.Abs(float64(v)) > 100 {
				p.half[i] = 0x3e00 // 1.5 as f16, 0.125 as bf16
			}
			p.b[i] = f.wide(p.half[i])
		}
	}
	p.ldc = n + r.IntN(4)
	offset, behind := guard+r.IntN(4), 0
	if r.IntN(2) == 0 {
		behind = guard // what is written there is seen, what is read is not
	}
	size := (m-1)*p.ldc + n
	p.memory = pageend.Of[float32](t, offset+size+behind)
	p.c = p.memory[offset : offset+size]
	for i := range p.memory {
		p.memory[i] = float32(math.NaN())
	}
	if acc {
		for i := range m {
			for j := range n {
				p.c[i*p.ldc+j] = r.Float32() - 0.5
			}
		}
	}
	return p
}

// wide is the meaning of one 16-bit number, by another route than the kernels'.
func (f format) wide(h uint16) float32 {
	if f == formatBF16 {
		return math.Float32frombits(uint32(h) << 16)
	}
	sign, exponent, fraction := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	switch {
	case exponent == 31 && fraction == 0:
		return float32(math.Inf(int(sign)))
	case exponent == 31:
		return float32(math.NaN())
	case exponent == 0:
		return float32(math.Copysign(math.Ldexp(fraction, -24), sign))
	}
	return float32(sign * math.Ldexp(1024+fraction, exponent-25))
}

func (p *problem) matrix() Matrix {
	switch p.format {
	case formatF16:
		return F16(p.half, p.ldb)
	case formatBF16:
		return BF16(p.half, p.ldb)
	}
	return F32(p.b, p.ldb)
}

type multiplier interface {
	Sgemm(transA, transB bool, m, n, k int, a []float32, lda int, b Matrix, c []float32, ldc int, acc bool)
}

// exactSum is an element of C in float64, and the sum of the magnitudes that it is made of.
func exactSum(acc bool, before float32, k int, term func(l int) float64) (want, size float64) {
	if acc {
		want = float64(before)
		size = math.Abs(want)
	}
	for l := range k {
		x := term(l)
		want += x
		size += math.Abs(x)
	}
	return want, size
}

// run computes with e and checks every word of C's memory against float64.
func (p *problem) run(t *testing.T, e multiplier) {
	t.Helper()
	before := append([]float32(nil), p.c...)
	e.Sgemm(p.transA, p.transB, p.m, p.n, p.k, p.a, p.lda, p.matrix(), p.c, p.ldc, p.acc)
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
				return float64(p.a[i*sa+l*ka]) * float64(p.b[l*kb+j*sb])
			})
			// Rounding errors of k sums add up as a random walk at worst here.
			bound := size*0x1p-24*(4+2*math.Sqrt(float64(p.k))) + float64(p.k)*0x1p-149
			if p.parts {
				bound += size * partsError
			}
			if got := float64(p.c[i*p.ldc+j]); !(math.Abs(got-want) <= bound) {
				t.Fatalf("%v: C[%d,%d] = %v, want %v within %.2g", p, i, j, got, want, bound)
			}
			p.c[i*p.ldc+j] = float32(math.NaN())
		}
	}
	for i, v := range p.memory {
		if !math.IsNaN(float64(v)) {
			t.Fatalf("%v: wrote %v at word %d outside C", p, v, i)
		}
	}
}

// edges are the sizes around one tile edge.
func edges(size int) []int {
	return []int{1, 2, size/2 - 1, size / 2, size/2 + 1, size - 1, size, size + 1}
}

func TestEveryTileEdge(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		r := rand.New(rand.NewPCG(1, 1))
		w := newWorkspace(k)
		depths := []int{1, 2, 3, 4, 5, 7, 15, 16, 17, 31}
		heights := []int{k.rows + 1, 2*k.rows + 1, 29}
		for rows := range k.rows { // a micro-kernel for each
			heights = append(heights, rows+1)
		}
		for i, m := range heights {
			for j, n := range append(edges(k.cols), 2*k.cols-1, 2*k.cols+3, 53) {
				if m < 1 || n < 1 {
					continue
				}
				for trans := range 4 {
					f := format((i + j + trans) % 3)
					p := newProblem(t, r, m, n, depths[(i*3+j+trans)%len(depths)], trans&1 != 0, trans&2 != 0,
						(i+j)%2 == 0, f)
					p.run(t, w)
				}
			}
		}
	})
}

func TestEveryDepth(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		r := rand.New(rand.NewPCG(2, 2))
		w := newWorkspace(k)
		depths := []int{k.kc - 1, k.kc, k.kc + 1, 2*k.kc + 5}
		for d := range 40 {
			depths = append(depths, d+1)
		}
		for i, depth := range depths {
			for trans := range 4 {
				for f := range format(3) {
					p := newProblem(t, r, k.rows+1+i%3, k.cols+1+i%5, depth, trans&1 != 0, trans&2 != 0, i%2 == 0, f)
					p.run(t, w)
				}
			}
		}
	})
}

func TestVectors(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		r := rand.New(rand.NewPCG(3, 3))
		w := newWorkspace(k)
		for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 35} {
			for _, depth := range []int{1, 3, 4, 5, 8, 15, 16, 17, 24, 35, 40, 63, 100} {
				for trans := range 4 {
					for f := range format(3) {
						newProblem(t, r, 1, n, depth, trans&1 != 0, trans&2 != 0, n%2 == 0, f).run(t, w)
						newProblem(t, r, n, 1, depth, trans&1 != 0, trans&2 != 0, depth%2 == 0, f).run(t, w)
					}
				}
			}
		}
	})
}

func TestLongVectors(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		r := rand.New(rand.NewPCG(9, 9))
		w := newWorkspace(k)
		for trans := range 4 {
			newProblem(t, r, 1, vectorChunk+5, 37, trans&1 != 0, trans&2 != 0, trans == 1, format(trans%3)).run(t, w)
			newProblem(t, r, vectorChunk+5, 1, 37, trans&1 != 0, trans&2 != 0, trans == 1, format(trans%3)).run(t, w)
			newProblem(t, r, 1, 6, dotsMost+21, trans&1 != 0, trans&2 != 0, trans == 1, format(trans%3)).run(t, w)
		}
	})
}

// threads are the team sizes whose results must have the same bits.
var threads = []int{1, 2, 5}

func engines(t *testing.T, k kernel) (list []*Engine) {
	for _, n := range threads {
		team := parallel.New(n)
		t.Cleanup(team.Close)
		list = append(list, newEngine(team, k))
	}
	return list
}

// sameBits runs p with every engine and alone, and compares.
func (p *problem) sameBits(t *testing.T, list []*Engine) {
	t.Helper()
	start := append([]float32(nil), p.c...)
	newWorkspace(*list[0].kernel).Sgemm(p.transA, p.transB, p.m, p.n, p.k, p.a, p.lda, p.matrix(), p.c, p.ldc, p.acc)
	want := append([]float32(nil), p.c...)
	for i, e := range list {
		copy(p.c, start)
		e.Sgemm(p.transA, p.transB, p.m, p.n, p.k, p.a, p.lda, p.matrix(), p.c, p.ldc, p.acc)
		for j := range want {
			if math.Float32bits(want[j]) != math.Float32bits(p.c[j]) {
				t.Fatalf("%v: %d threads: word %d is %v, alone %v", p, threads[i], j, p.c[j], want[j])
			}
		}
	}
	copy(p.c, start)
}

func TestRandomShapes(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		list := engines(t, k)
		shapes := 50
		if testing.Short() {
			shapes = 15
		}
		for seed := range shapes {
			r := rand.New(rand.NewPCG(uint64(seed), 4))
			size := func() int { return 1 + int(math.Exp(r.Float64()*math.Log(300))) }
			p := newProblem(t, r, size(), size(), size(), r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0,
				format(r.IntN(3)))
			p.sameBits(t, list)
			p.run(t, list[seed%len(list)])
		}
	})
}

// TestEveryDrive takes the shapes that are cut differently: strips, shared
// panels, several stretches of k.
func TestEveryDrive(t *testing.T) {
	shapes := [][3]int{{67, 1100, 40}, {110, 96, 50}, {61, 33, 600}, {9, 700, 70}, {1, 900, 300}, {700, 1, 130},
		{90, 150, 37}, {25, 290, 130}, {290, 25, 130}}
	if testing.Short() {
		shapes = shapes[:4]
	}
	withAndWithoutOwnCuts(t, func(t *testing.T, k kernel) {
		list := engines(t, k)
		r := rand.New(rand.NewPCG(5, 5))
		for _, s := range shapes {
			for trans := range 4 {
				p := newProblem(t, r, s[0], s[1], s[2], trans&1 != 0, trans&2 != 0, trans == 1, format(trans%3))
				p.sameBits(t, list)
				p.run(t, list[1])
			}
		}
	})
}

// withAndWithoutOwnCuts is everyKernel twice: shapes that give each thread one task would leave shared panels untried.
func withAndWithoutOwnCuts(t *testing.T, f func(t *testing.T, k kernel)) {
	defer func() { ownCuts = true }()
	for _, ownCuts = range []bool{true, false} {
		everyKernel(t, f)
	}
}

func TestStretchesOfK(t *testing.T) {
	defer func() { ownCuts = true }()
	ownCuts = false
	defer func(old int) { sharedLimit = old }(sharedLimit)
	sharedLimit = 1000 // one block at a time
	everyKernel(t, func(t *testing.T, k kernel) {
		list := engines(t, k)
		r := rand.New(rand.NewPCG(6, 6))
		for trans := range 4 {
			p := newProblem(t, r, 13, k.strip+14, 2*k.kc+11, trans&1 != 0, trans&2 != 0, trans == 1, format(trans%3))
			p.sameBits(t, list)
			p.run(t, list[1])
		}
	})
}

// A transposed A that is packed in bands of rows gives the same bits, from less memory, which SharedBytes foresees.
func TestBandsOfATransposedA(t *testing.T) {
	defer func(old int) { bandLimit, ownCuts = old, true }(bandLimit)
	ownCuts = false
	team := parallel.New(2)
	defer team.Close()
	everyKernel(t, func(t *testing.T, k kernel) {
		r := rand.New(rand.NewPCG(7, 7))
		for trans := range 2 {
			p := newProblem(t, r, 20*k.rows+5, 2*k.strip+14, k.kc+11, true, trans == 1, trans == 1, format(trans))
			bandLimit = 7 * k.rows * p.k
			e := newEngine(team, k)
			p.sameBits(t, []*Engine{e})
			p.run(t, e)
		}
	})
	m, n, k := 32000, 768, 512
	bandLimit = 8 << 20
	if bytes := SharedBytes(2, true, m, n, k); bytes > 4*bandLimit {
		t.Errorf("a gradient of a head's weight needs %d bytes beside it, want at most %d", bytes, 4*bandLimit)
	}
	e := NewOn(team)
	m, n, k = 600*e.kernel.rows, 2*e.kernel.strip, 512
	bandLimit = 150 * e.kernel.rows * k
	a, b, c := random(m*k), random(k*n), random(m*n)
	e.Sgemm(true, false, m, n, k, a, m, F32(b, n), c, n, false)
	if want, got := SharedBytes(2, true, m, n, k), e.shared.bytes(); want != got || want == 0 {
		t.Errorf("%d bytes of panels for all, %d foreseen", got, want)
	}
}

func TestNaNAndInfinityPropagate(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		w := newWorkspace(k)
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		m, n, depth := k.rows+1, k.cols+1, 9
		for _, shape := range [][2]int{{m, n}, {1, n}, {m, 1}} {
			m, n := shape[0], shape[1]
			for _, special := range []float32{inf, nan} {
				a, b, c := make([]float32, m*depth), make([]float32, depth*n), make([]float32, m*n)
				for i := range b {
					b[i] = 1
				}
				a[(m-1)*depth+2] = special
				b[5*n+n-1] = special // meets the zeros of A
				w.Sgemm(false, false, m, n, depth, a, depth, F32(b, n), c, n, false)
				for i := range m {
					for j := range n {
						got := float64(c[i*n+j])
						switch {
						case j == n-1: // 0 * Inf and 0 * NaN
							if !math.IsNaN(got) {
								t.Fatalf("%dx%d: C[%d,%d] = %v, want NaN", m, n, i, j, got)
							}
						case i == m-1:
							if special == inf && got != math.Inf(1) || special != inf && !math.IsNaN(got) {
								t.Fatalf("%dx%d: C[%d,%d] = %v, want %v", m, n, i, j, got, special)
							}
						case got != 0:
							t.Fatalf("%dx%d: C[%d,%d] = %v, want 0", m, n, i, j, got)
						}
					}
				}
			}
		}
	})
}

// TestEvery16BitNumber widens all 65536 of them in a matrix and in a vector.
func TestEvery16BitNumber(t *testing.T) {
	const rows, n = 64, 1024
	everyKernel(t, func(t *testing.T, k kernel) {
		w := newWorkspace(k)
		b := make([]uint16, rows*n)
		for i := range b {
			b[i] = uint16(i)
		}
		for _, f := range []format{formatF16, formatBF16} {
			for _, m := range []int{1, 2} {
				for _, trans := range []bool{false, true} {
					for r := range rows {
						// B is one row or, transposed, one column: C is B itself.
						matrix := Matrix{f, F16(b[r*n:], 1).data, n, n}
						if trans {
							matrix.ld = 1
						}
						a, c := []float32{1, 1}, make([]float32, m*n)
						w.Sgemm(false, trans, m, n, 1, a, 1, matrix, c, n, false)
						for j, got := range c {
							want := f.wide(b[r*n+j%n])
							if want != got && !(math.IsNaN(float64(want)) && math.IsNaN(float64(got))) {
								t.Fatalf("format %d, %d rows, trans %t: %#04x gave %v, want %v", f, m, trans,
									b[r*n+j%n], got, want)
							}
						}
					}
				}
			}
		}
	})
}

func TestEmpty(t *testing.T) {
	w := newWorkspace(kernels[0])
	c := []float32{1, 2, 3, 4, 5, 6}
	w.Sgemm(false, false, 2, 2, 0, nil, 1, F32(nil, 2), c, 3, true)
	if c[0] != 1 || c[4] != 5 {
		t.Errorf("an empty sum was added: %v", c)
	}
	w.Sgemm(false, false, 2, 2, 0, nil, 1, F32(nil, 2), c, 3, false)
	for i, want := range []float32{0, 0, 3, 0, 0, 6} {
		if c[i] != want {
			t.Errorf("k = 0: C = %v", c)
		}
	}
	w.Sgemm(false, false, 0, 2, 3, nil, 3, F32(make([]float32, 6), 2), nil, 2, false)
}

func TestBadSizesPanic(t *testing.T) {
	w := newWorkspace(kernels[0])
	f := func(n int) []float32 { return make([]float32, n) }
	for name, call := range map[string]func(){
		"negative": func() { w.Sgemm(false, false, -1, 2, 3, f(6), 3, F32(f(6), 2), f(4), 2, false) },
		"short A":  func() { w.Sgemm(false, false, 2, 2, 3, f(5), 3, F32(f(6), 2), f(4), 2, false) },
		"short B":  func() { w.Sgemm(false, true, 2, 2, 3, f(6), 3, F32(f(5), 3), f(4), 2, false) },
		"short C":  func() { w.Sgemm(false, false, 2, 2, 3, f(6), 3, F32(f(6), 2), f(3), 2, false) },
		"stride A": func() { w.Sgemm(true, false, 2, 2, 3, f(99), 1, F32(f(6), 2), f(4), 2, false) },
		"stride B": func() { w.Sgemm(false, false, 2, 2, 3, f(6), 3, BF16(make([]uint16, 9), 1), f(4), 2, false) },
		"stride C": func() { w.Sgemm(false, false, 2, 2, 3, f(6), 3, F32(f(6), 2), f(99), 1, false) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

// TestEngineInsideItself calls an engine from tasks of its own team and from
// several goroutines.
func TestEngineInsideItself(t *testing.T) {
	team := parallel.New(3)
	defer team.Close()
	e := NewOn(team)
	problems := make([]*problem, 12)
	for i := range problems {
		problems[i] = newProblem(t, rand.New(rand.NewPCG(uint64(i), 7)), 70, 70, 70, false, i%2 == 0, false, formatF32)
	}
	team.Run(len(problems), func(_, task int) { problems[task].run(t, e) })
}

// newWorkspace returns a workspace that uses one of Kernels.
func newWorkspace(k kernel) *Workspace { return &Workspace{kernel: &k} }
