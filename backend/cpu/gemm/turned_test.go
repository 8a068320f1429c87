package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/quant"
)

// Where a kernel turns rows of B in registers, every number of C has the bits that it has by panels, in any format of A, B and C,
// by any number of threads, whatever is added, and nothing is read or written beside it. That a row's bits do not depend on how
// many others there are follows: by panels they do not.
func TestTurned(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		if kn.turnedGroup == 0 {
			return
		}
		panels := kn
		panels.turnedMost, panels.bytesMost = 0, 0
		r := rand.New(rand.NewPCG(7, 8))
		for trial := range 120 {
			f := []format{formatF32, formatF16, formatBF16}[trial%3]
			most, k := kn.turnedMost, 8*(1+r.IntN(200))
			if trial%2 == 1 {
				kind := []BlockType{Q8_0, Q4_0, Q4_K, Q5_K, Q6_K, Q5_1}[trial/2%6]
				f, k = formatBlocks+format(kind), roundUp(k, quant.Type(kind).Len())
				if kn.bytes != nil && kn.bytes[kind].pack != nil {
					most = kn.bytesMost
				}
			}
			m, n := 2+r.IntN(most-1), 2*kn.turnedGroup+r.IntN(200)
			n += 8 * m
			b := randomMatrix(r, f, n*k, k)
			if !f.inBlocks() {
				b, _, _ = strided(t, r, f, n, k)
			}
			alpha := []float32{1, 0.25}[trial/4%2]
			a, _, wideA := strided(t, r, formatF32, m, k)
			for _, acc := range []bool{false, true} {
				name := fmt.Sprintf("%d x %d x %d, format %d, acc %t, alpha %g", m, n, k, f, acc, alpha)
				c, _, start := strided(t, r, formatF32, m, n)
				for i := range start {
					if i%c.ld >= n {
						start[i] = guard // a number, so that it equals itself
					}
				}
				if p := newProduct(false, true, m, n, k, alpha, wideA, a.ld, b, start, c.ld, acc); !p.turned(&kn) || p.turned(&panels) {
					t.Fatalf("%s: by panels", name)
				}
				product := func(kn kernel) []float32 {
					c32 := pageend.Copy(t, start)
					newWorkspace(kn).SgemmAlpha(false, true, m, n, k, alpha, wideA, a.ld, b, c32, c.ld, acc)
					return c32
				}
				want := product(panels)
				if !slices.EqualFunc(product(kn), want, sameBits) {
					t.Errorf("%s: other bits than by panels", name)
				}
				if alpha != 1 {
					continue
				}
				for _, e := range engines(t, kn) {
					got := pageend.Copy(t, start)
					e.Sgemm(false, true, m, n, k, wideA, a.ld, b, got, c.ld, acc)
					if !slices.EqualFunc(got, want, sameBits) {
						t.Errorf("%s: other bits than by panels", name)
					}
				}
				testTurnedHalves(t, name, r, kn, panels, m, n, k, b, acc)
			}
		}
		p := newProduct(false, true, kn.turnedMost+1, 64, 64, 1, random((kn.turnedMost+1)*64), 64, F32(random(64*64), 64),
			random((kn.turnedMost+1)*64), 64, false)
		if p.turned(&kn) {
			t.Errorf("%d rows are not more than %d", p.m, kn.turnedMost)
		}
	})
}

// Blocks of every kind are widened some blocks of k at a time, which need not end where the kind's do, as those of 4352 steps do not.
func TestTurnedBlocks(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		if kn.turnedGroup == 0 {
			return
		}
		panels := kn
		panels.turnedMost, panels.bytesMost = 0, 0
		r := rand.New(rand.NewPCG(11, 12))
		for kind := range quant.Types {
			for _, k := range []int{quant.MaxLen, 17 * quant.MaxLen} {
				m := max(2, kn.turnedMost-r.IntN(4))
				n := 8*kn.turnedMost + 2*kn.turnedGroup + kn.turnedGroup/2 + 1 // whole groups, and columns beside them
				b := Blocks(BlockType(kind), pageend.Copy(t, kind.Random(r.Uint32, n*k, 1)), k)
				a := random(m * k)
				product := func(kn kernel) []float32 {
					c := pageend.Of[float32](t, m*n)
					newWorkspace(kn).Sgemm(false, true, m, n, k, a, k, b, c, n, false)
					return c
				}
				if p := newProduct(false, true, m, n, k, 1, a, k, b, make([]float32, m*n), n, false); !p.turned(&kn) {
					t.Fatalf("%s, %d steps: by panels", kind, k)
				}
				if !slices.EqualFunc(product(kn), product(panels), sameBits) {
					t.Errorf("%s, %d steps: other bits than by panels", kind, k)
				}
			}
		}
	})
}

// testTurnedHalves does the same for an A and a C in 16 bits, to which is added what is there and plus, or one of them, or neither.
func testTurnedHalves(t *testing.T, name string, r *rand.Rand, kn, panels kernel, m, n, k int, b Matrix, acc bool) {
	t.Helper()
	formats := []format{formatF16, formatBF16, formatF32}
	fa, fc, fp := formats[r.IntN(3)], formats[r.IntN(2)], formats[r.IntN(3)]
	a, _, _ := strided(t, r, fa, m, k)
	for _, added := range []string{"nothing", "a row", "rows"} {
		name := fmt.Sprintf("%s, %d to %d, and %s in %d", name, fa, fc, added, fp)
		c, halves, _ := strided(t, r, fc, m, n)
		start, plus := slices.Clone(halves), Matrix{}
		switch added {
		case "a row":
			plus, _, _ = strided(t, r, fp, 1, n)
			plus.ld = 0
		case "rows":
			plus, _, _ = strided(t, r, fp, m, n)
		}
		var want []uint16
		check := func(of string, half func(transA, transB bool, m, n, k int, a, b, c, plus Matrix, acc bool) bool) {
			copy(halves, start)
			switch {
			case !half(false, true, m, n, k, a, b, c, plus, acc):
				t.Fatalf("%s: not computed", name)
			case want == nil:
				want = slices.Clone(halves)
			case !slices.Equal(halves, want):
				t.Errorf("%s: other bits by %s than by panels", name, of)
			}
		}
		check("panels", newWorkspace(panels).SgemmHalf)
		check("itself", newWorkspace(kn).SgemmHalf)
		for _, e := range engines(t, kn) {
			check("threads", e.SgemmHalf)
		}
		for i := range m - 1 {
			if c.ld > n && !noNumber(fc, halves[i*c.ld+n]) {
				t.Errorf("%s: written between rows", name)
			}
		}
	}
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

func noNumber(f format, bits uint16) bool {
	wide := []float32{0}
	f.widen16(wide, []uint16{bits})
	return math.IsNaN(float64(wide[0]))
}

// Pairs of bfloat16 that are turned give the bits of panels, for an A in float32, too, and a C in float32 or bfloat16.
func TestTurnedPairs(t *testing.T) {
	needPairs(t)
	kn := pairKernels()[0]
	if kn.turnedGroup == 0 {
		t.Skip(kn.name + " turns no rows")
	}
	panels := kn
	panels.turnedMost = 0
	r := rand.New(rand.NewPCG(9, 10))
	for trial := range 80 {
		m, n, k := 2+r.IntN(kn.turnedMost-1), kn.turnedGroup+r.IntN(200), 16*(1+r.IntN(160))
		if m >= len(kn.turned[0]) {
			n += 8 * m
		}
		a, _, wideA := strided(t, r, []format{formatBF16, formatF32}[trial%2], m, k)
		if trial%2 == 0 {
			a.ld, a.data, a.len = evenRows(t, a, m, k)
		} else {
			a = F32(wideA, a.ld)
		}
		b, _, _ := strided(t, r, formatBF16, n, k)
		b.ld, b.data, b.len = evenRows(t, b, n, k)
		alpha, acc := []float32{1, 0.25}[trial/2%2], trial/4%2 == 1
		name := fmt.Sprintf("%d x %d x %d, A in format %d, alpha %g, acc %t", m, n, k, a.format, alpha, acc)
		c, _, start := strided(t, r, formatF32, m, n)
		rounded := make([]uint16, len(start))
		vec.ToBF16(rounded, start)
		for i := range start {
			if i%c.ld >= n {
				start[i], rounded[i] = guard, 0x4040 // numbers, so that they equal themselves
			}
		}
		if p := newPairProduct(false, true, m, n, k, alpha, a, b, c, acc); !p.turned(&kn) || p.turned(&panels) {
			t.Fatalf("%s: by panels", name)
		}
		var want []float32
		var want16 []uint16
		check := func(of string, product func(c Matrix)) {
			c32, c16 := pageend.Copy(t, start), slices.Clone(rounded)
			product(F32(c32, c.ld))
			product(BF16(c16, c.ld))
			if want == nil {
				want, want16 = c32, c16
			}
			if !slices.EqualFunc(c32, want, sameBits) || !slices.Equal(c16, want16) {
				t.Errorf("%s: other bits by %s than by panels", name, of)
			}
		}
		check("panels", func(c Matrix) { newWorkspace(panels).multiplyPairs(false, true, m, n, k, alpha, a, b, c, acc) })
		check("itself", func(c Matrix) { newWorkspace(kn).multiplyPairs(false, true, m, n, k, alpha, a, b, c, acc) })
		for _, e := range engines(t, kn) {
			check("threads", func(c Matrix) { e.bgemm(false, true, m, n, k, alpha, a, b, c, acc) })
		}
	}
}

// evenRows is the stride, memory and length of a copy of a matrix of 16 bits whose rows, of an even length, begin an even number apart.
func evenRows(t *testing.T, x Matrix, rows, cols int) (ld int, data unsafe.Pointer, n int) {
	t.Helper()
	ld = roundUp(x.ld, 2)
	to := pageend.Of[uint16](t, (rows-1)*ld+cols)
	for i := range rows {
		copy(to[i*ld:i*ld+cols], unsafe.Slice((*uint16)(x.at(i*x.ld)), cols))
	}
	return ld, unsafe.Pointer(unsafe.SliceData(to)), len(to)
}
