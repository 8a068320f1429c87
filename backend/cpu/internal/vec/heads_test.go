package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestHeads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range []HeadShape{{1, 1, 1, 16}, {5, 3, 1, 48}, {7, 2, 4, 64}, {64, 1, 3, 128}, {2, 2, 2, 80}, {3, 2, 2, 6}} {
		heads, apart := s.Heads*s.Group, s.Rows+3
		one, many := normal(r, heads*s.Dim, 1), normal(r, s.Rows*s.Heads*s.Dim, 1)
		weights := normal(r, (heads-1)*apart+s.Rows, 1)
		start := append([]float32(nil), weights...)

		y := append([]float32(nil), one...)
		AddHeads(weights, apart, y, many, s)
		DotHeads(weights, apart, one, many, s)
		for h := range heads {
			for i := range s.Dim {
				want, size := float64(one[h*s.Dim+i]), 1.0
				for row := range s.Rows {
					term := float64(start[h*apart+row]) * float64(many[(row*s.Heads+h/s.Group)*s.Dim+i])
					want, size = want+term, size+math.Abs(term)
				}
				if d := math.Abs(float64(y[h*s.Dim+i]) - want); d > 1e-6*size {
					t.Errorf("AddHeads %+v: head %d, element %d is off by %g", s, h, i, d)
				}
			}
			for row := range apart {
				if h*apart+row >= len(weights) {
					break
				}
				got := weights[h*apart+row]
				if row >= s.Rows {
					if got != start[h*apart+row] {
						t.Errorf("DotHeads %+v wrote between the rows of its weights", s)
					}
					continue
				}
				want, size := 0.0, 1.0
				for i := range s.Dim {
					term := float64(one[h*s.Dim+i]) * float64(many[(row*s.Heads+h/s.Group)*s.Dim+i])
					want, size = want+term, size+math.Abs(term)
				}
				if d := math.Abs(float64(got) - want); d > 1e-6*size {
					t.Errorf("DotHeads %+v: head %d, row %d is off by %g", s, h, row, d)
				}
			}
		}
	}
}

// Rows in 16 bits give the bits of those that are widened before, in the assembly of every processor that has routines for them.
func TestNarrowHeads(t *testing.T) {
	defer implementations[len(implementations)-1].choose()
	for _, impl := range implementations {
		impl.choose()
		testNarrowHeads(t, impl.name, ToF16, FromF16, DotHeadsF16, AddHeadsF16)
		testNarrowHeads(t, impl.name, ToBF16, FromBF16, DotHeadsBF16, AddHeadsBF16)
	}
}

func testNarrowHeads(t *testing.T, name string, narrow func(dst []uint16, src []float32), widen func(dst []float32, src []uint16),
	dot, add func(weights []float32, apart int, one []float32, many []uint16, s HeadShape) bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	for _, s := range []HeadShape{{1, 1, 1, 16}, {5, 3, 1, 48}, {7, 2, 4, 64}, {64, 1, 3, 128}, {2, 2, 2, 80}, {3, 2, 2, 6}} {
		heads, apart := s.Heads*s.Group, s.Rows+3
		one, many := normal(r, heads*s.Dim, 1), make([]uint16, s.Rows*s.Heads*s.Dim)
		narrow(many, normal(r, len(many), 1))
		wide := make([]float32, len(many))
		widen(wide, many)
		start := normal(r, (heads-1)*apart+s.Rows, 1)
		want, got, wantY, gotY := slices.Clone(start), slices.Clone(start), slices.Clone(one), slices.Clone(one)
		DotHeads(want, apart, one, wide, s)
		AddHeads(start, apart, wantY, wide, s)
		dots, adds := dot(got, apart, one, many, s), add(start, apart, gotY, many, s)
		if dots != adds || !dots && strings.HasPrefix(name, "avx") && s.Dim%16 == 0 {
			t.Errorf("%s %+v: computed: %t, %t", name, s, dots, adds)
		}
		if dots && !slices.Equal(got, want) || adds && !slices.Equal(gotY, wantY) {
			t.Errorf("%s %+v: other bits than of widened rows", name, s)
		}
	}
}

func TestHeadsMustFit(t *testing.T) {
	s := HeadShape{Rows: 2, Heads: 2, Group: 1, Dim: 16}
	for name, f := range map[string]func(){
		"short weights":   func() { DotHeads(make([]float32, 3), 2, make([]float32, 32), make([]float32, 64), s) },
		"short query":     func() { DotHeads(make([]float32, 4), 2, make([]float32, 31), make([]float32, 64), s) },
		"short cache":     func() { AddHeads(make([]float32, 4), 2, make([]float32, 32), make([]float32, 63), s) },
		"rows over rows":  func() { AddHeads(make([]float32, 9), 1, make([]float32, 32), make([]float32, 64), s) },
		"nothing to read": func() { DotHeads(nil, 1, nil, nil, HeadShape{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
