package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

func TestBLASAgreesWithGonum(t *testing.T) {
	team := parallel.New(2)
	defer team.Close()
	for _, k := range kernels {
		ours := BLAS{Engine: newEngine(team, k)}
		r := rand.New(rand.NewPCG(8, 8))
		for i := range 80 {
			tA, tB := []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans}[i%3],
				[]blas.Transpose{blas.NoTrans, blas.Trans}[i%2]
			m, n, depth := 1+r.IntN(50), 1+r.IntN(50), 1+r.IntN(50)
			if i > 70 { // products of nothing
				*[]*int{&m, &n, &depth}[i%3] = 0
			}
			alpha, beta := []float32{1, 0, -2.5}[i/3%3], []float32{0, 1, 0.5}[i/9%3]
			p := newProblem(t, r, max(1, m), max(1, n), max(1, depth), tA != blas.NoTrans, tB != blas.NoTrans, beta != 0,
				formatF32)
			want := append([]float32(nil), p.c...)
			gonum.Implementation{}.Sgemm(tA, tB, m, n, depth, alpha, p.a, p.lda, p.b, p.ldb, beta, want, p.ldc)
			ours.Sgemm(tA, tB, m, n, depth, alpha, p.a, p.lda, p.b, p.ldb, beta, p.c, p.ldc)
			for j := range want {
				if d := math.Abs(float64(want[j] - p.c[j])); d > 1e-5 ||
					math.IsNaN(d) != (math.IsNaN(float64(want[j])) && math.IsNaN(float64(p.c[j]))) {
					t.Fatalf("%s: %v alpha=%v beta=%v: word %d is %v, gonum's %v", k.name, p, alpha, beta, j, p.c[j],
						want[j])
				}
			}
		}
	}
}

func TestBLASPanicsAsGonum(t *testing.T) {
	team := parallel.New(1)
	defer team.Close()
	ours := BLAS{Engine: NewOn(team)}
	try := func(b blas.Float32Level3, tA, tB blas.Transpose, m, n, k, lda, ldb, ldc, la, lb, lc int) (said any) {
		defer func() { said = recover() }()
		b.Sgemm(tA, tB, m, n, k, 1, make([]float32, la), lda, make([]float32, lb), ldb, 0, make([]float32, lc), ldc)
		return nil
	}
	for i, c := range []struct {
		tA, tB                                   blas.Transpose
		m, n, k, lda, ldb, ldc, lenA, lenB, lenC int
	}{
		{'X', 'N', 2, 3, 4, 4, 3, 3, 8, 12, 6},
		{'N', 'X', 2, 3, 4, 4, 3, 3, 8, 12, 6},
		{'N', 'N', -2, 3, 4, 4, 3, 3, 8, 12, 6},
		{'N', 'N', 2, -3, 4, 4, 3, 3, 8, 12, 6},
		{'N', 'N', 2, 3, -4, 4, 3, 3, 8, 12, 6},
		{'N', 'N', 2, 3, 4, 3, 3, 3, 8, 12, 6},
		{'T', 'N', 2, 3, 4, 1, 3, 3, 8, 12, 6},
		{'N', 'N', 2, 3, 4, 4, 2, 3, 8, 12, 6},
		{'N', 'T', 2, 3, 4, 4, 3, 3, 8, 12, 6},
		{'N', 'N', 2, 3, 4, 4, 3, 2, 8, 12, 6},
		{'N', 'N', 2, 3, 4, 4, 3, 3, 7, 12, 6},
		{'N', 'N', 2, 3, 4, 4, 3, 3, 8, 11, 6},
		{'N', 'N', 2, 3, 4, 4, 3, 3, 8, 12, 5},
		{'N', 'N', 2, 3, 4, 4, 3, 3, 8, 12, 6},
	} {
		want := try(gonum.Implementation{}, c.tA, c.tB, c.m, c.n, c.k, c.lda, c.ldb, c.ldc, c.lenA, c.lenB, c.lenC)
		got := try(ours, c.tA, c.tB, c.m, c.n, c.k, c.lda, c.ldb, c.ldc, c.lenA, c.lenB, c.lenC)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("case %d: said %v, gonum says %v", i, got, want)
		}
	}
}

func TestBLASServesGonum(t *testing.T) {
	team := parallel.New(2)
	defer team.Close()
	old := blas32.Implementation()
	defer blas32.Use(old)
	blas32.Use(BLAS{Engine: NewOn(team)})
	a := blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: []float32{1, 2, 3, 4}}
	c := blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: make([]float32, 4)}
	blas32.Gemm(blas.NoTrans, blas.Trans, 2, a, a, 0, c)
	for i, want := range []float32{10, 22, 22, 50} {
		if c.Data[i] != want {
			t.Fatalf("2 A Aᵀ = %v", c.Data)
		}
	}
}
