package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRows checks the routines that make several passes over a row.
func TestRows(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 10))
		near := func(name string, n, i int, got float32, want, size float64) {
			t.Helper()
			if !(math.Abs(float64(got)-want) <= 2e-6*size) {
				t.Fatalf("%s: length %d: [%d] = %g, want %g", name, n, i, got, want)
			}
		}
		for _, n := range []int{1, 7, 8, 64, 288, 1001} {
			x, w, dy := normal(rng, n, 3), normal(rng, n, 1), normal(rng, n, 1)
			y, dx := make([]float32, n), make([]float32, n)

			var top, sum, dots float64 = math.Inf(-1), 0, 0
			for _, v := range x {
				top = max(top, float64(v))
			}
			for _, v := range x {
				sum += math.Exp(float64(v) - top)
			}
			SoftmaxRow(y, x)
			for i := range y {
				near("SoftmaxRow", n, i, y[i], math.Exp(float64(x[i])-top)/sum, 1)
				dots += float64(dy[i]) * float64(y[i])
			}
			near("LogSumExp", n, 0, LogSumExp(x), top+math.Log(sum), 1+math.Abs(top))
			SoftmaxGradRow(dx, dy, y)
			for i := range dx {
				near("SoftmaxGradRow", n, i, dx[i], float64(y[i])*(float64(dy[i])-dots), 1)
			}

			const eps = 1e-5
			var squares, c float64
			for i, v := range x {
				squares += float64(v) * float64(v)
				c += float64(dy[i]) * float64(w[i]) * float64(v)
			}
			r := 1 / math.Sqrt(squares/float64(n)+eps)
			rstds := []float32{0}
			RMSNormRows(y, x, w, rstds, eps)
			rstd := rstds[0]
			near("RMSNormRows rstd", n, 0, rstd, r, r)
			for i := range y {
				near("RMSNormRows", n, i, y[i], float64(x[i])*r*float64(w[i]), 1+math.Abs(float64(y[i])))
			}
			RMSNormGradRows(dx, dy, x, w, nil, rstds)
			for i := range dx {
				near("RMSNormGradRows", n, i, dx[i], r*float64(dy[i])*float64(w[i])-r*r*r*c/float64(n)*float64(x[i]), 3)
			}
		}
	})
}

func TestLogSumExpOfInfinities(t *testing.T) {
	for _, c := range []struct {
		x    []float32
		want float32
	}{{nil, -inf}, {[]float32{-inf, -inf}, -inf}, {[]float32{1, inf}, inf}, {[]float32{-inf, 2}, 2}} {
		if got := LogSumExp(c.x); got != c.want {
			t.Errorf("LogSumExp(%v) = %g, want %g", c.x, got, c.want)
		}
	}
	if got := LogSumExp([]float32{1, float32(math.NaN())}); got == got {
		t.Errorf("LogSumExp of a NaN = %g", got)
	}
}

// A row of several pieces is rescaled where it grows, wherever it does.
func TestLogSumExpOfManyPieces(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(13, 14))
		for _, n := range []int{sumPiece, sumPiece + 1, 3*sumPiece - 1, 32000} {
			for _, c := range []struct {
				at   int
				v    float32
				want float32 // if not what the numbers are
			}{{0, 9, 0}, {n - 1, 40, 0}, {n / 2, -inf, 0}, {n - 1, inf, inf}, {0, inf, inf}} {
				x := normal(rng, n, 3)
				for i := range min(sumPiece, n-1) {
					x[i] -= 30
				}
				x[c.at] = c.v
				if c.want != 0 {
					if got := LogSumExp(x); got != c.want {
						t.Errorf("%d elements, %v at %d: got %v", n, c.v, c.at, got)
					}
					if x[n/2] = float32(math.NaN()); !math.IsNaN(float64(LogSumExp(x))) {
						t.Errorf("%d elements, %v at %d and a NaN: got %v", n, c.v, c.at, LogSumExp(x))
					}
					continue
				}
				top, sum := math.Inf(-1), 0.0
				for _, v := range x {
					top = max(top, float64(v))
				}
				for _, v := range x {
					sum += math.Exp(float64(v) - top)
				}
				if got, want := float64(LogSumExp(x)), top+math.Log(sum); !(math.Abs(got-want) <= 1e-6*math.Abs(want)) {
					t.Errorf("%d elements, %v at %d: got %v, want %v", n, c.v, c.at, got, want)
				}
			}
		}
	})
}

// TestRoPERow turns a row there and back, and checks one head by hand.
func TestRoPERow(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, dim := range []int{2, 6, 16, 48, 64, 128} {
			table := make([]float32, dim)
			for i := range dim / 2 {
				s, c := math.Sincos(float64(i) + 0.3)
				table[i], table[dim/2+i] = float32(c), float32(s)
			}
			x := normal(rng, 3*dim, 1)
			y := append([]float32(nil), x...)
			RoPERow(y, y, table, 1)
			if d := 2 * dim; math.Abs(float64(y[d]-(x[d]*table[0]-x[d+dim/2]*table[dim/2]))) > 1e-6 {
				t.Fatalf("dim %d: head 2 starts with %g", dim, y[d])
			}
			RoPERow(y, y, table, -1)
			for i := range y {
				if math.Abs(float64(y[i]-x[i])) > 1e-6 {
					t.Fatalf("dim %d: there and back: [%d] = %g, want %g", dim, i, y[i], x[i])
				}
			}
		}
	})
}
