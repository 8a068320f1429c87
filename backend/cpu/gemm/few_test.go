package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
)

// Where a kernel reads B once for few rows, each row of A has the bits that it has by itself, in any format of B, and so the
// float64 oracle of single rows; by any number of threads, whatever is added, and nothing is read or written beside it.
func TestFewRows(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		if kn.fewRows == 0 {
			return
		}
		r := rand.New(rand.NewPCG(7, 8))
		for trial := range 60 {
			m, n, k := 2+r.IntN(kn.fewRows-1), 2+r.IntN(200), 32*(2+r.IntN(20))
			matrixA, _, a := strided(t, r, formatF32, m, k)
			f := []format{formatF32, formatF16, formatBF16, formatBlocks}[trial%4]
			b := randomMatrix(r, f, n*k, k)
			if f != formatBlocks {
				b, _, _ = strided(t, r, f, n, k)
			}
			acc := trial%3 == 0
			alpha := []float32{1, 0.25}[trial/4%2]
			matrixC, _, start := strided(t, r, formatF32, m, n)
			lda, ldc := matrixA.ld, matrixC.ld
			for i := range start {
				if i%ldc >= n {
					start[i] = guard // a number, so that it equals itself
				}
			}
			want := slices.Clone(start)
			var one Workspace
			one.kernel = &kn
			for i := range m {
				one.SgemmAlpha(false, true, 1, n, k, alpha, a[i*lda:], lda, b, want[i*ldc:], ldc, acc)
			}
			name := fmt.Sprintf("%d x %d x %d, format %d, acc %t, alpha %g", m, n, k, f, acc, alpha)
			p := newProduct(false, true, m, n, k, alpha, a, lda, b, start, ldc, acc)
			if !p.few(&kn) {
				t.Fatalf("%s: by panels", name)
			}
			got := pageend.Copy(t, start)
			var all Workspace
			all.kernel = &kn
			all.SgemmAlpha(false, true, m, n, k, alpha, a, lda, b, got, ldc, acc)
			if !slices.EqualFunc(got, want, sameBits) {
				t.Errorf("%s: other bits than row by row", name)
			}
			if alpha != 1 {
				continue
			}
			for _, e := range engines(t, kn) {
				got := pageend.Copy(t, start)
				e.Sgemm(false, true, m, n, k, a, lda, b, got, ldc, acc)
				if !slices.EqualFunc(got, want, sameBits) {
					t.Errorf("%s: other bits than row by row", name)
				}
				testFewHalves(t, name, r, e, m, n, k, b)
			}
		}
		p := newProduct(false, true, kn.fewRows+1, 8, 64, 1, random((kn.fewRows+1)*64), 64, F32(random(8*64), 64), random((kn.fewRows+1)*8), 8, false)
		if p.few(&kn) || kn.name == kernels[0].name && RowsAsOne() != kn.fewRows {
			t.Errorf("%d rows are not more than %d", p.m, RowsAsOne())
		}
	})
}

// testFewHalves compares with the product of a widened A, to which is added what is there and plus, or one of them, or neither,
// and which is rounded then.
func testFewHalves(t *testing.T, name string, r *rand.Rand, e *Engine, m, n, k int, b Matrix) {
	t.Helper()
	formats := []format{formatF16, formatBF16, formatF32}
	fa, fc, fp := formats[r.IntN(2)], formats[r.IntN(2)], formats[r.IntN(3)]
	a, _, wideA := strided(t, r, fa, m, k)
	sums := make([]float32, m*n)
	e.Sgemm(false, true, m, n, k, wideA, a.ld, b, sums, n, false)
	for _, acc := range []bool{false, true} {
		for _, added := range []string{"nothing", "a row", "rows"} {
			c, halves, before := strided(t, r, fc, m, n)
			plus, widePlus := Matrix{}, make([]float32, n)
			switch added {
			case "a row":
				plus, _, widePlus = strided(t, r, fp, 1, n)
				plus.ld = 0
			case "rows":
				plus, _, widePlus = strided(t, r, fp, m, n)
			}
			if !e.SgemmHalf(false, true, m, n, k, a, b, c, plus, acc) {
				t.Fatalf("%s: not computed", name)
			}
			name := fmt.Sprintf("%s, %d to %d, acc %t, and %s in %d", name, fa, fc, acc, added, fp)
			for i := range m {
				row := make([]float32, n)
				if acc {
					copy(row, before[i*c.ld:])
				}
				vec.Add(row, row, widePlus[i*plus.ld:][:n])
				vec.Add(row, row, sums[i*n:][:n])
				want := make([]uint16, n)
				fc.round16(want, row)
				if !slices.Equal(halves[i*c.ld:][:n], want) {
					t.Errorf("%s: row %d has other bits than float32's, rounded", name, i)
				}
				if i < m-1 && c.ld > n && !noNumber(fc, halves[i*c.ld+n]) {
					t.Errorf("%s: written between rows", name)
				}
			}
		}
	}
}

func noNumber(f format, bits uint16) bool {
	wide := []float32{0}
	f.widen16(wide, []uint16{bits})
	return math.IsNaN(float64(wide[0]))
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
