package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Rows in one call have the bits of rows one by one, and what lies between them stays as it was.
func TestManyRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	nan := float32(math.NaN())
	eachImplementation(t, func(t *testing.T) {
		for _, c := range []struct{ rows, n, apart, from int }{
			{1, 1, 1, 1}, {5, 0, 3, 3}, {7, 48, 48, 60}, {14, 64, 192, 64}, {3, 7, 9, 8}, {84, 100, 111, 100}, {2, 131, 131, 140}, {3, 40000, 40001, 40002},
		} {
			x, alpha := normal(rng, (c.rows-1)*c.from+c.n, 1), normal(rng, c.rows, 1)
			got, want := normal(rng, (c.rows-1)*c.apart+c.n, 1), []float32(nil)
			for i := range x {
				if i%c.from >= c.n {
					x[i] = nan
				}
			}
			want = append(want, got...)
			for r, by := range alpha {
				for i := range c.n {
					want[r*c.apart+i] = by * x[r*c.from+i]
				}
			}
			ScaleRows(got, c.apart, x, c.from, c.n, alpha)
			sameBits(t, "scaled", got, want)

			for _, h := range []Half{F16, BF16} {
				halves, wide := make([]uint16, len(got)), make([]uint16, len(want))
				for i := range halves {
					halves[i], wide[i] = 0x1234, 0x1234
				}
				ScaleRowsTo(h, halves, c.apart, x, c.from, c.n, alpha)
				for r := range alpha {
					round := ToBF16
					if h == F16 {
						round = ToF16
					}
					round(wide[r*c.apart:][:c.n], want[r*c.apart:][:c.n])
				}
				if !slices.Equal(halves, wide) {
					t.Errorf("%+v: scaled to 16 bits, rows are others", c)
				}
			}

			counts := make([]int, c.rows)
			for r := range counts {
				counts[r] = rng.IntN(c.n + 1)
				clear(want[r*c.apart+counts[r] : r*c.apart+c.n])
			}
			ClearRows(got, c.apart, counts, c.n)
			sameBits(t, "cleared", got, want)
		}
		ScaleRows(nil, 0, nil, 0, 3, nil)
		ScaleRowsTo(BF16, nil, 0, nil, 0, 3, nil)
		ClearRows(nil, 0, nil, 3)
	})
	for name, f := range map[string]func(){
		"short dst":      func() { ScaleRows(make([]float32, 5), 3, make([]float32, 6), 3, 3, make([]float32, 2)) },
		"short x":        func() { ScaleRows(make([]float32, 6), 3, make([]float32, 5), 3, 3, make([]float32, 2)) },
		"rows overlap":   func() { ScaleRows(make([]float32, 6), 2, make([]float32, 6), 3, 3, make([]float32, 2)) },
		"short halves":   func() { ScaleRowsTo(BF16, make([]uint16, 5), 3, make([]float32, 6), 3, 3, make([]float32, 2)) },
		"short rows":     func() { ClearRows(make([]float32, 5), 3, []int{0, 0}, 3) },
		"from behind":    func() { ClearRows(make([]float32, 6), 3, []int{0, 4}, 3) },
		"from before it": func() { ClearRows(make([]float32, 6), 3, []int{0, -1}, 3) },
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
