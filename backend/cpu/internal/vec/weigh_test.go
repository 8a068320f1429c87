package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// weighCounts are lengths around those of groups, vectors and tails.
var weighCounts = []int{0, 1, 7, 8, 9, 23, 24, 25, 31, 48, 57, 128, 255, 256}

// Rows together have the bits of rows one by one, and leave what lies beyond their counts alone.
func TestWeighRowsBits(t *testing.T) {
	const apart = 256
	rng := rand.New(rand.NewPCG(1, 2))
	scores := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			switch x[i] = float32(20 * rng.NormFloat64()); rng.IntN(8) {
			case 0:
				x[i] = float32(math.Inf(-1))
			case 1:
				x[i] *= 10 // some whose exponentials are zero
			}
		}
		return x
	}
	eachImplementation(t, func(t *testing.T) {
		n := len(weighCounts)
		for _, one := range []float32{0, float32(math.Inf(-1)), 1000} {
			x, ds := scores(n*apart), scores(n*apart)
			for r, c := range weighCounts { // the largest comes last: the smaller counts see nothing where one is -Inf
				for i := range c {
					if one != 0 && r%3 == 1 {
						x[r*apart+i] = one
					}
				}
			}
			highest, delta := scores(n), scores(n)
			for r := range highest {
				if r%2 == 0 {
					highest[r] = float32(math.Inf(-1))
				}
			}
			want, wantHighest := append([]float32(nil), x...), append([]float32(nil), highest...)
			got, gotHighest := append([]float32(nil), x...), append([]float32(nil), highest...)
			wantSums, gotSums := make([]float32, n), make([]float32, n)
			weighEach(want, apart, weighCounts, wantHighest, wantSums)
			WeighRows(got, apart, weighCounts, gotHighest, gotSums)
			sameBits(t, "weights", got, want)
			sameBits(t, "highest", gotHighest, wantHighest)
			sameBits(t, "sums", gotSums, wantSums)
			for r, c := range weighCounts { // behind as many that are zero
				c = min(c, apart-ExpGroup)
				behind, after := append([]float32(nil), x[r*apart:][:c]...), make([]float32, ExpGroup+c)
				for i := range ExpGroup {
					after[i] = float32(math.Inf(-1))
				}
				copy(after[ExpGroup:], behind)
				counts, more, most := []int{c}, []int{ExpGroup + c}, [2][]float32{{highest[r]}, {highest[r]}}
				sums := [2][]float32{{0}, {0}}
				WeighRows(behind, apart, counts, most[0], sums[0])
				WeighRows(after, apart, more, most[1], sums[1])
				sameBits(t, "sum behind zeros", sums[1], sums[0])
			}

			for r, c := range weighCounts {
				highest[r] = max(0, maximum(x[r*apart:][:c]))
				if one == 1000 && r%3 == 1 { // its weights are +Inf
					highest[r] = 900
				}
			}
			want, got = append([]float32(nil), x...), append([]float32(nil), x...)
			wantDs, gotDs := append([]float32(nil), ds...), append([]float32(nil), ds...)
			weighGradEach(want, wantDs, apart, weighCounts, highest, delta)
			WeighGradRows(got, gotDs, apart, weighCounts, highest, delta)
			sameBits(t, "weights of gradients", got, want)
			for r, c := range weighCounts {
				if one == 1000 && r%3 == 1 && c > 0 && !math.IsInf(float64(got[r*apart]), 1) {
					t.Fatalf("a weight beyond all numbers is %v", got[r*apart])
				}
			}
			sameBits(t, "gradients", gotDs, wantDs)
		}
	})
}

func sameBits(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if g, w := math.Float32bits(got[i]), math.Float32bits(want[i]); g != w {
			t.Fatalf("%s: element %d is %x (%v), want %x (%v)", name, i, g, got[i], w, want[i])
		}
	}
}

// More rows than one call of assembly takes.
func TestWeighManyRows(t *testing.T) {
	const apart, rows = 256, 700
	x, counts := make([]float32, rows*apart-3), make([]int, rows)
	for r := range counts {
		counts[r] = apart - 3 - r%5
		for i := range counts[r] {
			x[r*apart+i] = float32(i%17 - r%7)
		}
	}
	eachImplementation(t, func(t *testing.T) {
		want, got := append([]float32(nil), x...), append([]float32(nil), x...)
		highest, sums := [2][]float32{make([]float32, rows), make([]float32, rows)}, [2][]float32{make([]float32, rows), make([]float32, rows)}
		weighEach(want, apart, counts, highest[0], sums[0])
		WeighRows(got, apart, counts, highest[1], sums[1])
		sameBits(t, "weights", got, want)
		sameBits(t, "highest", highest[1], highest[0])
		sameBits(t, "sums", sums[1], sums[0])
		wantDs, gotDs := append([]float32(nil), x...), append([]float32(nil), x...)
		weighGradEach(want, wantDs, apart, counts, highest[0], sums[0])
		WeighGradRows(got, gotDs, apart, counts, highest[1], sums[1])
		sameBits(t, "gradients", gotDs, wantDs)
	})
}

// What is no number reaches the sum of its row, and no other row.
func TestWeighRowsNaN(t *testing.T) {
	const apart = 64
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	odd := math.Float32frombits(0x7f800001) // a NaN whose low bits would become an exponent
	eachImplementation(t, func(t *testing.T) {
		for _, bad := range []float32{nan, -nan, odd, inf} {
			for at := range 30 {
				x, counts := make([]float32, 3*apart), []int{30, 30, 30}
				x[apart+at] = bad
				highest, sums := []float32{-inf, -inf, -inf}, make([]float32, 3)
				WeighRows(x, apart, counts, highest, sums)
				if sums[0] != 30 || sums[1] == sums[1] || sums[2] != 30 {
					t.Fatalf("%v at %d: sums %v, want 30, NaN, 30", bad, at, sums)
				}
			}
		}
		x, counts := []float32{nan, nan, nan}, []int{3}
		highest, sums := []float32{-inf}, make([]float32, 1)
		if WeighRows(x, 3, counts, highest, sums); sums[0] == sums[0] {
			t.Fatalf("nothing but NaN: sum %v", sums[0])
		}
	})
}

func BenchmarkWeighRows(b *testing.B) {
	const apart, rows = 256, 48
	x, ds := make([]float32, rows*apart), make([]float32, rows*apart)
	counts, highest, sums := make([]int, rows), make([]float32, rows), make([]float32, rows)
	for r := range counts {
		counts[r] = apart
	}
	each := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows/apart*8, "ns/8")
		})
	}
	each("rows", func() { WeighRows(x, apart, counts, highest, sums) })
	each("each", func() { weighEach(x, apart, counts, highest, sums) })
	each("gradients", func() { WeighGradRows(x, ds, apart, counts, highest, sums) })
	each("gradients each", func() { weighGradEach(x, ds, apart, counts, highest, sums) })
}
