package vec

import (
	"math"
	"math/rand/v2"
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
