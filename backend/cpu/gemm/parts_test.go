package gemm

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
	"github.com/agora-ml/agora/internal/quant"
)

// partsError is what a product of two numbers by parts may be off by, of its size: a lo is at most 2^-8 of its number, and
// off by 2^-17 of it, and lo lo is left out.
const partsError = 1.01 * (2*0x1p-17 + 0x1p-16)

// modelPartsKernel is the kernel of products by parts with tiles and packing in plain Go.
var modelPartsKernel = kernel{
	name: "amx model", rows: panelSize, cols: panelSize, kc: 512, strip: 256,
	blocks: &blockRoutines{{modelParts, modelParts}, {modelParts, modelParts}},
	parts:  &partPackers{row: goSplitRow, narrow: goSplitPairs(tileSize), full: goSplitPairs(panelSize), transpose: goTransposeWords},
}

// split is x in two parts.
func split(x float32) (hi, lo uint16) {
	const largest = 0x1.fep127
	near := x
	if near > largest {
		near = largest
	} else if near < -largest {
		near = -largest
	}
	roundRowGo(unsafe.Pointer(&hi), unsafe.Pointer(&near), 1)
	rest := x - float32(wide(hi))
	roundRowGo(unsafe.Pointer(&lo), unsafe.Pointer(&rest), 1)
	return hi, lo
}

func goSplitRow(hi, lo unsafe.Pointer, step int, src unsafe.Pointer, n int) {
	for i := range n {
		for j, x := range unsafe.Slice((*float32)(unsafe.Add(src, 128*i)), 32) {
			at := i*step + 2*j
			*(*uint16)(unsafe.Add(hi, at)), *(*uint16)(unsafe.Add(lo, at)) = split(x)
		}
	}
}

func goSplitPairs(width int) rowsPacker {
	return func(dst, src unsafe.Pointer, ld, k, panels, size int) {
		for i := range 2 * k {
			for p := range panels {
				to := unsafe.Add(dst, p*size+i/2*8*width+2*(i%2))
				for j, x := range unsafe.Slice((*float32)(unsafe.Add(src, i*ld+4*p*width)), width) {
					*(*uint16)(unsafe.Add(to, 4*j)), *(*uint16)(unsafe.Add(to, 4*(width+j))) = split(x)
				}
			}
		}
	}
}

func goTransposeWords(dst unsafe.Pointer, step, nextDst int, src unsafe.Pointer, ld, nextSrc, n int) {
	for i := range n {
		for r := range tileSize {
			for c := range tileSize {
				*(*uint32)(unsafe.Add(dst, i*nextDst+c*step+4*r)) = *(*uint32)(unsafe.Add(src, i*nextSrc+r*ld+4*c))
			}
		}
	}
}

// withModelParts has products by parts computed by the model of tiles.
func withModelParts(t *testing.T) { usePartKernel(t, modelPartsKernel) }

func usePartKernel(t *testing.T, k kernel) {
	was := partKernels
	partKernels = func() []kernel { return []kernel{k} }
	t.Cleanup(func() { partKernels = was })
}

// A partsModel multiplies everything by parts with the model, also what is too small for it.
type partsModel struct{ team Team }

func (m partsModel) Sgemm(transA, transB bool, rows, cols, k int, a []float32, lda int, b Matrix, c []float32, ldc int, acc bool) {
	p := newProduct(transA, transB, rows, cols, k, 1, a, lda, b, c, ldc, acc).inParts()
	if m.team == nil {
		(&Workspace{kernel: &modelPartsKernel}).run(p)
		return
	}
	newEngine(m.team, modelPartsKernel).run(p)
}

func newPartsProblem(t testing.TB, r *rand.Rand, m, n, k, bits int, f format) *problem {
	p := newProblem(t, r, m, n, k, bits&1 != 0, bits&2 != 0, bits&4 != 0, f)
	p.parts = true
	return p
}

// Products by parts against float64: all layouts and formats of B, and the edges of tiles, panels and blocks.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 51))
	sizes := [][3]int{{2, 2, 1}, {15, 16, 31}, {16, 17, 32}, {33, 15, 33}, {17, 49, 63}, {32, 64, 64}, {5, 290, 34}, {140, 3, 45}, {3, 33, 545}}
	if testing.Short() {
		sizes = sizes[:5]
	}
	for i, s := range sizes {
		for bits := range 8 {
			newPartsProblem(t, r, s[0], s[1], s[2], bits, format((i+bits)%3)).run(t, partsModel{})
		}
	}
}

func TestPartsOnATeam(t *testing.T) {
	r := rand.New(rand.NewPCG(52, 52))
	sizes := [][3]int{{64, 300, 35}, {6, 100, 550}, {130, 270, 6}, {300, 40, 33}}
	if testing.Short() {
		sizes = sizes[:1]
	}
	defer func(limit int) { ownCuts, sharedLimit = true, limit }(sharedLimit)
	team := parallel.New(3)
	defer team.Close()
	for _, ownCuts = range []bool{true, false} {
		for i, s := range sizes {
			for bits := range 4 {
				newPartsProblem(t, r, s[0], s[1], s[2], bits|i%2*4, format(bits%3)).run(t, partsModel{team})
			}
		}
		sharedLimit = 1 << 12 // several stretches of k
	}
}

// An engine and a workspace compute by parts what is large enough, and everything else as without.
func TestByParts(t *testing.T) {
	withModelParts(t)
	r := rand.New(rand.NewPCG(53, 53))
	team := parallel.New(2)
	defer team.Close()
	e := NewOn(team)
	e.ByParts = true
	for _, s := range [][3]int{{32, 32, 32}, {70, 96, 47}, {31, 64, 64}, {64, 31, 64}, {64, 64, 31}, {1, 64, 64}} {
		parts := min(s[0], s[1], s[2]) >= 32
		p := newPartsProblem(t, r, s[0], s[1], s[2], 0, formatF32)
		for _, m := range []multiplier{e, &Workspace{ByParts: true}} {
			p.run(t, m)
			p.parts = false
			m.Sgemm(false, false, p.m, p.n, p.k, p.a, p.lda, p.matrix(), p.c, p.ldc, false)
			got := p.c[0]
			NewOn(team).Sgemm(false, false, p.m, p.n, p.k, p.a, p.lda, p.matrix(), p.c, p.ldc, false)
			if (got != p.c[0]) != parts {
				t.Errorf("%v: the first element is %v, by float32 %v: want it by parts %t", p, got, p.c[0], parts)
			}
			for i := range p.memory {
				p.memory[i] = float32(math.NaN())
			}
			p.parts = true
		}
	}
	if n := e.Bytes(); n <= NewOn(team).Bytes() {
		t.Errorf("%d bytes of scratch memory, those of products by parts are missing", n)
	}
	if n, ok := PartsBytes(2, true, 2048, 768, 2048); !ok || n < 4*2048*2048 {
		t.Errorf("%d bytes, %t for a transposed A of 16 MiB", n, ok)
	}
}

// A quantized B has the product of the matrix that it stands for.
func TestPartsOfBlocks(t *testing.T) {
	const m, n, k = 33, 64, 96
	r := rand.New(rand.NewPCG(54, 54))
	a, b := make([]float32, m*k), make([]float32, n*k)
	for _, x := range [][]float32{a, b} {
		for i := range x {
			x[i] = r.Float32() - 0.5
		}
	}
	for _, transB := range []bool{false, true} {
		ld := n
		if transB {
			ld = k
		}
		coded, err := quant.Q8_0.Append(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		quant.Q8_0.Decode(b, coded)
		want, got := make([]float32, m*n), make([]float32, m*n)
		partsModel{}.Sgemm(false, transB, m, n, k, a, k, F32(b, ld), want, n, false)
		partsModel{}.Sgemm(false, transB, m, n, k, a, k, Blocks(Q8_0, coded, ld), got, n, false)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("transB=%t: element %d is %v, of the widened matrix %v", transB, i, got[i], want[i])
			}
		}
	}
}

// The number of threads does not change a bit.
func TestPartsSameBits(t *testing.T) {
	r := rand.New(rand.NewPCG(55, 55))
	var list []*Engine
	for _, n := range threads {
		team := parallel.New(n)
		defer team.Close()
		list = append(list, newEngine(team, modelPartsKernel))
	}
	for bits := range 8 {
		if testing.Short() && bits%3 != 0 {
			continue
		}
		p := newPartsProblem(t, r, 35, 90, 530, bits, formatF32)
		start := append([]float32(nil), p.c...)
		var want []float32
		for i, e := range list {
			copy(p.c, start)
			e.run(newProduct(p.transA, p.transB, p.m, p.n, p.k, 1, p.a, p.lda, p.matrix(), p.c, p.ldc, p.acc).inParts())
			if want == nil {
				want = append(want, p.c...)
			}
			for j := range want {
				if math.Float32bits(want[j]) != math.Float32bits(p.c[j]) {
					t.Fatalf("%v: %d threads: word %d is %v, want %v", p, threads[i], j, p.c[j], want[j])
				}
			}
		}
	}
}

// What is infinite, no number, huge or denormal has its meaning.
func TestPartsOfNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	const most, tiny = math.MaxFloat32, 0x1p-126
	for _, c := range []struct {
		a, b float32
		want float64 // of one product, in a sum of zeros
		off  float64 // of want
	}{
		{1, 1, 1, 0},
		{3, -1.0 / 3, -1, partsError},
		{0x1.ff8p127, 1, 0x1.ff8p127, partsError}, // would be rounded to infinity
		{-most, 0.5, -most / 2, partsError},
		{0x1.ffp127, 0.25, 0x1.ffp125, partsError},
		{inf, 2, math.Inf(1), 0},
		{inf, -1e-30, math.Inf(-1), 0},
		{-inf, 1.0 / 3, math.Inf(-1), 0},
		{inf, inf, math.Inf(1), 0},
		{inf, 0, math.NaN(), 0},
		{nan, 1, math.NaN(), 0},
		{tiny / 2, 1, 0, 0},                       // denormal
		{tiny * 1.001, 1, tiny, 0},                // its lo is
		{0x1.01p-117, 1, 0x1.01p-117, partsError}, // nor any more is it
		{0x1.000002p100, 0x1p-100, 0x1.000002p0, partsError},
	} {
		for swap := range 2 {
			a, b := make([]float32, 32*32), make([]float32, 32*32)
			got := make([]float32, 32*32)
			a[0], b[0] = c.a, c.b
			if swap == 1 {
				a[0], b[0] = c.b, c.a
			}
			partsModel{}.Sgemm(false, false, 32, 32, 32, a, 32, F32(b, 32), got, 32, false)
			x := float64(got[0])
			if x != c.want && !(math.IsNaN(x) && math.IsNaN(c.want)) && !(math.Abs(x-c.want) <= c.off*math.Abs(c.want)) {
				t.Errorf("%g * %g = %g, want %g", a[0], b[0], x, c.want)
			}
		}
	}
}

// What products by parts are off by, of the norm of the result, beside those of float32, of numbers rounded to TF32's 10 bits
// and of bfloat16: RATIONALE.md has the table (-v).
func TestPartsError(t *testing.T) {
	const n = 32
	r := rand.New(rand.NewPCG(56, 56))
	numbers := []struct {
		name string
		next func() float64
	}{
		{"normal", r.NormFloat64},
		{"uniform in [0, 1)", r.Float64},
		{"normal times 10^uniform(-3, 3)", func() float64 { return r.NormFloat64() * math.Pow(10, 6*r.Float64()-3) }},
	}
	rounded := func(x []float32, bits int) []float32 {
		to := make([]float32, len(x))
		for i, v := range x {
			fraction, exponent := math.Frexp(float64(v))
			to[i] = float32(math.Ldexp(math.RoundToEven(math.Ldexp(fraction, bits)), exponent-bits))
		}
		return to
	}
	for _, k := range []int{256, 4096} {
		if k > 256 && testing.Short() {
			continue
		}
		for _, of := range numbers {
			a, b, c := make([]float32, n*k), make([]float32, k*n), make([]float32, n*n)
			for i := range a {
				a[i], b[i] = float32(of.next()), float32(of.next())
			}
			off := func(m multiplier, a, b []float32, exactA, exactB []float32) float64 {
				m.Sgemm(false, false, n, n, k, a, k, F32(b, n), c, n, false)
				var wrong, norm float64
				for i := range n {
					for j := range n {
						sum := 0.0
						for l := range k {
							sum += float64(exactA[i*k+l]) * float64(exactB[l*n+j])
						}
						wrong, norm = wrong+(float64(c[i*n+j])-sum)*(float64(c[i*n+j])-sum), norm+sum*sum
					}
				}
				return math.Sqrt(wrong / norm)
			}
			single, parts := off(&Workspace{}, a, b, a, b), off(partsModel{}, a, b, a, b)
			tf32, half := off(&Workspace{}, rounded(a, 11), rounded(b, 11), a, b), off(&Workspace{}, rounded(a, 8), rounded(b, 8), a, b)
			t.Logf("k=%d, %s: float32 %.1e, by parts %.1e, TF32 %.1e, bfloat16 %.1e", k, of.name, single, parts, tf32, half)
			if !(parts < 6e-6 && parts < tf32/15) {
				t.Errorf("k=%d, %s: off by %.2g by parts, by %.2g with TF32", k, of.name, parts, tf32)
			}
		}
	}
}
