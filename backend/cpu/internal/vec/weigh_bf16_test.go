package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Rows in bfloat16 have the bits of those in float32, rounded, zeros behind them, and what is beyond all rows is left alone.
func TestWeighRowsBF16(t *testing.T) {
	const apart, across = 320, 304
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{256, 263, 300} {
		for rows := range len(weighCounts) {
			counts := make([]int, rows)
			for r := range counts {
				counts[r] = weighCounts[(r*5+rows)%len(weighCounts)]
			}
			numbers := func(n int) []float32 {
				x := make([]float32, n)
				for i := range x {
					switch x[i] = float32(20 * rng.NormFloat64()); rng.IntN(20) {
					case 0:
						x[i] = float32(math.Inf(-1))
					case 1:
						x[i] *= 10 // some whose exponentials are denormal or zero
					}
				}
				return x
			}
			x, ds, shift, delta := numbers(rows*apart), numbers(rows*apart), numbers(rows), numbers(rows)
			for r := range shift {
				shift[r] = float32(math.Abs(float64(shift[r])))
				for i := counts[r]; i < apart; i++ {
					x[r*apart+i], ds[r*apart+i] = float32(math.NaN()), float32(math.NaN()) // is not seen
				}
			}
			eachImplementation(t, func(t *testing.T) {
				got, highest, sums := append([]float32(nil), x...), append([]float32(nil), shift...), make([]float32, rows)
				want, wantHighest, wantSums := append([]float32(nil), x...), append([]float32(nil), shift...), make([]float32, rows)
				WeighRowsBF16(got, apart, counts, n, highest, sums)
				weighEach(want, apart, counts, wantHighest, wantSums)
				sameBits(t, "highest", highest, wantHighest)
				sameBits(t, "sums", sums, wantSums)
				for r, c := range counts {
					for i, g := range Words(got[r*apart:][:apart])[:n] {
						w := uint16(0)
						if i < c {
							w = roundNormal(want[r*apart+i])
						}
						if g != w {
							t.Fatalf("%d rows, %d: weight %d of row %d, of %d, is %x, want %x", rows, n, i, r, c, g, w)
						}
					}
				}

				got, gotDs, to := append([]float32(nil), x...), append([]float32(nil), ds...), make([]uint16, (rows+1)/2*2*across+1)
				want, wantDs := append([]float32(nil), x...), append([]float32(nil), ds...)
				for i := range to {
					to[i] = 0x1234
				}
				if rows == 0 || n+15 > across {
					return
				}
				WeighGradRowsBF16(got, gotDs, apart, counts, n, shift, delta, to, across)
				weighGradEach(want, wantDs, apart, counts, shift, delta)
				for r, c := range counts {
					for i := range n {
						var w, d uint16
						if i < c {
							w, d = roundNormal(want[r*apart+i]), roundNormal(wantDs[r*apart+i])
						}
						at := r/2*2*apart + i
						g, e := Words(got[at:][:1])[r%2], Words(gotDs[at:][:1])[r%2]
						if g != w || e != d || to[r*across+i] != d {
							t.Fatalf("%d rows, %d: element %d of row %d, of %d, is %x, %x and %x, want %x, %x", rows, n, i, r, c, g, e, to[r*across+i], w, d)
						}
						if r == rows-1 && r%2 == 0 && (Words(got[at:][:1])[1] != 0 || Words(gotDs[at:][:1])[1] != 0) {
							t.Fatalf("%d rows, %d: beside element %d of the last row are no zeros", rows, n, i)
						}
					}
				}
				if to[len(to)-1] != 0x1234 {
					t.Fatalf("%d rows, %d: wrote behind the rows", rows, n)
				}
			})
		}
	}
}

// Products of rows are those in float64 but for roundings of float32, and read nothing but the rows.
func TestDotRowsBF16(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	wide := func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }
	eachImplementation(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 31, 32, 33, 48, 64, 100, 128} {
			const rows, apart, across = 5, 131, 140
			x, y := make([]uint16, (rows-1)*apart+n), make([]uint16, (rows-1)*across+n)
			for _, z := range [][]uint16{x, y} {
				ToBF16(z, normal(rng, len(z), 1))
			}
			for i := range x {
				if i%apart >= n {
					x[i] = 0x7fc0
				}
			}
			sums := make([]float32, rows+1)
			DotRowsBF16(sums[:rows], x, apart, y, across, n)
			for r := range rows {
				want, size := 0.0, 0.0
				for i := range n {
					p := wide(x[r*apart+i]) * wide(y[r*across+i])
					want, size = want+p, size+math.Abs(p)
				}
				if !(math.Abs(float64(sums[r])-want) <= 1e-6*size) {
					t.Fatalf("%d numbers: product %d is %v, want %v", n, r, sums[r], want)
				}
			}
			if sums[rows] != 0 {
				t.Fatalf("%d numbers: wrote behind the sums", n)
			}
		}
	})
}
