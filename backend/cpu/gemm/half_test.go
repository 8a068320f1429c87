package gemm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// strided is random numbers of rows and columns in any format, with NaN between rows and behind the last, and the same in float32.
func strided(t testing.TB, r *rand.Rand, f format, rows, cols int) (m Matrix, halves []uint16, wide []float32) {
	ld := cols + r.IntN(4)
	size, from := (rows-1)*ld+cols, r.IntN(4)
	behind := guard * r.IntN(2) // without one memory ends there
	wide, halves = pageend.Of[float32](t, from+size+behind)[from:], pageend.Of[uint16](t, from+size+behind)[from:]
	for i := range wide {
		wide[i] = float32(math.NaN())
		if i < size && i%ld < cols {
			wide[i] = r.Float32() - 0.5
		}
	}
	if f == formatF32 {
		return F32(wide[:size], ld), nil, wide[:size]
	}
	f.round16(halves, wide)
	f.widen16(wide, halves)
	return Matrix{f, F16(halves, ld).data, size, ld}, halves, wide[:size]
}

// Products with A or C in 16 bits have the bits of the product of float32 that is rounded afterwards, whatever is added, with any
// number of threads, and touch nothing else.
func TestHalf(t *testing.T) {
	defer func(old int) { sharedLimit = old }(sharedLimit)
	formats := []format{formatF32, formatF16, formatBF16}
	everyKernel(t, func(t *testing.T, kn kernel) {
		r := rand.New(rand.NewPCG(17, 18))
		for trial := range 240 {
			m, n, k := 2+r.IntN(90), 2+r.IntN(90), 1+r.IntN(60)
			if kn.name != "go" {
				switch trial % 8 {
				case 0:
					k = 500 + r.IntN(700)
				case 1:
					m, n = 60+r.IntN(1100), 2+r.IntN(300)
				case 2:
					m, n = 2+r.IntN(60), 300+r.IntN(900)
				}
			}
			if sharedLimit = 16 << 20; trial%5 == 0 {
				sharedLimit = 1 << 12 // some stretches of k
			}
			transA, transB := r.IntN(2) == 0, r.IntN(2) == 0
			fa, fb, fc := formats[r.IntN(3)], formats[r.IntN(3)], formats[r.IntN(3)]
			if fa == formatF32 && fc == formatF32 {
				fa = formatBF16
			}
			rowsA, colsA, rowsB, colsB := m, k, k, n
			if transA {
				rowsA, colsA = k, m
			}
			if transB {
				rowsB, colsB = n, k
			}
			a, _, wideA := strided(t, r, fa, rowsA, colsA)
			b, _, _ := strided(t, r, fb, rowsB, colsB)
			c, halves, want := strided(t, r, fc, m, n)
			what := r.IntN(6)
			if fc == formatF32 {
				what %= 2
			}
			acc, plus := what%2 == 1, Matrix{}
			before := append([]uint16(nil), halves...)
			wide := append([]float32(nil), want...)
			switch what {
			case 2, 3, 4, 5: // a residual, a bias, C before it or not
				rows := []int{m, 1}[what/2-1]
				x, _, add := strided(t, r, formats[r.IntN(3)], rows, n)
				for i := range m {
					for j := range n {
						sum := add[i%rows*x.ld+j]
						if acc {
							sum += want[i*c.ld+j]
						}
						want[i*c.ld+j] = sum
					}
				}
				if plus = x; rows == 1 {
					plus.ld = 0
				}
			}
			single := Workspace{kernel: &kn}
			single.Sgemm(transA, transB, m, n, k, wideA, a.ld, b, want, c.ld, what > 0)
			if m*n*k > 1<<22 && kn.name == "go" {
				continue
			}
			for threads := range 4 {
				var by interface {
					SgemmHalf(transA, transB bool, m, n, k int, a, b, c, plus Matrix, acc bool) bool
				} = &Workspace{kernel: &kn}
				team := parallel.New(max(threads, 1))
				if threads > 0 {
					by = newEngine(team, kn)
				}
				got := append([]uint16(nil), before...)
				gotWide := append([]float32(nil), wide...)
				to := Matrix{fc, F16(got, c.ld).data, c.len, c.ld}
				if fc == formatF32 {
					to = F32(gotWide, c.ld)
				}
				done := by.SgemmHalf(transA, transB, m, n, k, a, b, to, plus, acc)
				team.Close()
				if wants := !transA || kn.rowsA[fa] != nil; done != wants {
					t.Fatalf("%dx%dx%d, A transposed %t in format %d: done %t", m, n, k, transA, fa, done)
				}
				if !done {
					continue
				}
				for i := range before {
					expected := before[i]
					if i < c.len && i%c.ld < n {
						var x [1]uint16
						if vec.ToBF16(x[:], want[i:i+1]); fc == formatF16 {
							vec.ToF16(x[:], want[i:i+1])
						}
						expected = x[0]
					}
					if got[i] != expected {
						t.Fatalf("%dx%dx%d, transposed %t %t, formats %d %d %d, adds %d, %d threads: element %d of stride %d is %#x, want %#x",
							m, n, k, transA, transB, fa, fb, fc, what, threads, i, c.ld, got[i], expected)
					}
				}
				for i := range wide {
					if fc == formatF32 && math.Float32bits(gotWide[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%dx%dx%d, transposed %t %t, formats %d %d, adds %d, %d threads: element %d is %v, want %v",
							m, n, k, transA, transB, fa, fb, what, threads, i, gotWide[i], want[i])
					}
				}
			}
		}
	})
}

// What is not covered is left alone.
func TestHalfRefused(t *testing.T) {
	e := New(1)
	defer e.Close()
	x := make([]uint16, 64)
	for _, s := range [][3]int{{1, 4, 4}, {4, 1, 4}, {4, 4, 0}} {
		if e.SgemmHalf(false, false, s[0], s[1], s[2], BF16(x, 8), BF16(x, 8), BF16(x, 8), Matrix{}, false) {
			t.Errorf("%v was done", s)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a matrix was added to a C in float32")
		}
	}()
	e.SgemmHalf(false, false, 4, 4, 4, BF16(x, 8), BF16(x, 8), F32(make([]float32, 64), 8), BF16(x, 8), false)
}

// Bands of rows that have all of k, where a C in 16 bits would else be kept in float32, give the same bits, whatever is added.
func TestBandsOfHalves(t *testing.T) {
	if testing.Short() {
		t.Skip("large products")
	}
	defer func(old int) { sharedLimit = old }(sharedLimit)
	team := parallel.New(2)
	defer team.Close()
	const m, n = 1100, 530
	try := func(kn kernel, k int, multiply func(e *Engine, c []uint16)) {
		t.Helper()
		var results [2][]uint16
		for i := range results {
			if sharedLimit = 16 << 20; i == 1 {
				sharedLimit = 600 * 608
			}
			e := newEngine(team, kn)
			results[i] = make([]uint16, m*n)
			for j := range results[i] {
				results[i][j] = uint16(j * 0x9e37 & 0xbfff) // neither NaN nor infinity, also in float16
			}
			multiply(e, results[i])
			if whole := panelBytes((m + 32) * k); cap(e.wide) > 0 || i == 1 && e.shared.bytes() >= whole {
				t.Errorf("%s: %d bytes of panels, of all rows at once %d, and %d of C in float32", kn.name, e.shared.bytes(), whole, 4*cap(e.wide))
			}
		}
		if !slices.Equal(results[0], results[1]) {
			t.Errorf("%s: other bits in bands", kn.name)
		}
	}
	r := rand.New(rand.NewPCG(19, 20))
	everyKernel(t, func(t *testing.T, kn kernel) {
		if kn.name == "go" && len(kernels) > 1 {
			t.Skip("slow")
		}
		const k = 600
		b, _, _ := strided(t, r, formatBF16, k, n)
		residual, _, _ := strided(t, r, formatBF16, m, n)
		bias, _, _ := strided(t, r, formatF32, 1, n)
		bias.ld = 0
		for i, plus := range []Matrix{{}, residual, bias} {
			a, _, _ := strided(t, r, []format{formatBF16, formatF16, formatF32}[i], m, k)
			try(kn, k, func(e *Engine, c []uint16) { e.SgemmHalf(false, false, m, n, k, a, b, F16(c, n), plus, i < 2) })
		}
	})
	if !HasBF16() {
		return
	}
	kn, k := pairKernels()[0], 1200
	wideA, narrowA, b := random(m*k), make([]uint16, m*k), make([]uint16, k*n)
	formatBF16.round16(narrowA, random(m*k))
	formatBF16.round16(b, random(k*n))
	for i, a := range []Matrix{F32(wideA, k), BF16(narrowA, k)} {
		try(kn, k/2, func(e *Engine, c []uint16) { e.bgemm(false, false, m, n, k, 1, a, BF16(b, n), BF16(c, n), i == 1) })
	}
}
