package lowrank

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/random"
)

func normal(rows, columns int, id uint32) *mat.Dense {
	r := random.NewStream(1, random.Test, id, 0)
	x := mat.NewDense(rows, columns, nil)
	x.Apply(func(_, _ int, _ float64) float64 { return r.Normal() }, x)
	return x
}

func (s SVD) product() *mat.Dense {
	b, a := s.Factors()
	var x mat.Dense
	x.Mul(b, a)
	return &x
}

func distance(a, b mat.Matrix) float64 {
	var d mat.Dense
	d.Sub(a, b)
	return mat.Norm(&d, 2) / mat.Norm(b, 2)
}

// eye is how far the columns of x are from orthonormal.
func eye(x *mat.Dense) float64 {
	var g mat.Dense
	g.Mul(x.T(), x)
	n, _ := g.Dims()
	for i := range n {
		g.Set(i, i, g.At(i, i)-1)
	}
	return mat.Norm(&g, 2)
}

// Through the small core is what the whole product gives, wide, tall and square, below and above the rank.
func TestProductIsItsOwnSVD(t *testing.T) {
	for _, c := range [][3]int{{20, 4, 9}, {9, 4, 20}, {12, 12, 12}, {5, 9, 7}, {30, 1, 30}} {
		b, a := normal(c[0], c[1], 1), normal(c[1], c[2], 2)
		var whole mat.Dense
		whole.Mul(b, a)
		want, err := Dense(&whole)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Product(b, a)
		if err != nil {
			t.Fatal(err)
		}
		values, err := ProductValues(b, a)
		if err != nil {
			t.Fatal(err)
		}
		if n := min(c[0], c[1], c[2]); len(got.S) != n || len(values) != n {
			t.Fatalf("%v: %d and %d values, want %d", c, len(got.S), len(values), n)
		}
		for i, v := range values {
			if math.Abs(v-want.S[i]) > 1e-10*want.S[0] || math.Abs(got.S[i]-want.S[i]) > 1e-10*want.S[0] {
				t.Errorf("%v: value %d is %g and %g, want %g", c, i, v, got.S[i], want.S[i])
			}
		}
		if d := distance(got.product(), &whole); d > 1e-12 || eye(got.U) > 1e-12 || eye(got.V) > 1e-12 {
			t.Errorf("%v: the product is off by %g, the vectors by %g and %g", c, d, eye(got.U), eye(got.V))
		}
	}
}

// Cut gives the nearest matrix of a rank: what it misses is the root of the squares left out (Eckart, Young).
func TestCut(t *testing.T) {
	x := normal(9, 7, 3)
	s, err := Dense(x)
	if err != nil {
		t.Fatal(err)
	}
	rest := 0.0
	for _, v := range s.S[3:] {
		rest += v * v
	}
	if got, want := distance(s.Cut(3).product(), x)*mat.Norm(x, 2), math.Sqrt(rest); math.Abs(got-want) > 1e-12 {
		t.Errorf("rank 3 misses %g, want %g", got, want)
	}
	if got := s.Cut(8); len(got.S) != 7 {
		t.Errorf("cut to more than there are: %d", len(got.S))
	}
}

// Largest agrees with Dense where the spectrum falls, and twice gives the same bits.
func TestLargest(t *testing.T) {
	s, err := Dense(normal(60, 40, 4))
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.S {
		s.S[i] = math.Pow(0.6, float64(i))
	}
	x := s.product()
	got, err := Largest(x, 5, 9)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Largest(x, 5, 9)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got.S {
		if math.Abs(v-s.S[i]) > 1e-10 || v != again.S[i] {
			t.Errorf("value %d is %g, then %g, want %g", i, v, again.S[i], s.S[i])
		}
	}
	if d := distance(got.product(), s.Cut(5).product()); len(got.S) != 5 || d > 1e-8 {
		t.Errorf("%d values, off by %g", len(got.S), d)
	}
}

// LAPACK does not see a number that is none.
func TestNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		good, bad := normal(6, 6, 5), normal(6, 6, 6)
		bad.Set(2, 3, v)
		_, dense := Dense(bad)
		_, product := Product(bad.Slice(0, 6, 0, 4), good.Slice(0, 4, 0, 6))
		_, second := Product(good.Slice(0, 6, 0, 4), bad.Slice(0, 4, 0, 6))
		_, values := ProductValues(bad.Slice(0, 6, 0, 4), good.Slice(0, 4, 0, 6))
		_, largest := Largest(bad, 2, 1)
		for i, err := range []error{dense, product, second, values, largest} {
			if err != errNotFinite {
				t.Errorf("%g, case %d: error %v", v, i, err)
			}
		}
	}
}
