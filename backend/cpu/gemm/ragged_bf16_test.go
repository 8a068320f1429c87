package gemm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// Products in bfloat16 go as far as each row does, and touch nothing beyond.
func TestRaggedBF16(t *testing.T) {
	if !HasRaggedBF16() {
		t.Skip("no micro-kernels of pairs that read them where they lie")
	}
	r := rand.New(rand.NewPCG(15, 16))
	random := func(n int) (halves []uint16, numbers []float64) {
		halves, numbers = pageend.Of[uint16](t, n), make([]float64, n)
		for i := range halves {
			halves[i] = uint16(math.Float32bits(float32(r.NormFloat64())) >> 16)
			numbers[i] = float64(math.Float32frombits(uint32(halves[i]) << 16))
		}
		return halves, numbers
	}
	var w Workspace
	for _, c := range [][3]int{{48, 256, 64}, {33, 70, 48}, {7, 100, 6}, {65, 33, 128}, {30, 40, 250}} {
		m, n, k := c[0], c[1], c[2]
		for name, ends := range map[string][]int{
			"all": endsOf(m, func(int) int { return n }), "a diagonal": endsOf(m, func(i int) int { return min(i, n) }),
			"any": endsOf(m, func(int) int { return r.IntN(n + 1) }), "nothing": endsOf(m, func(int) int { return 0 }),
		} {
			near := func(what string, got float32, want, size float64) {
				t.Helper()
				if math.IsNaN(float64(got)) || math.Abs(float64(got)-want) > 1e-5*size {
					t.Fatalf("%v, %s: %s is %v, want %v", c, name, what, got, want)
				}
			}
			most, ld := most(ends), roundUp(n, Whole)
			a, wideA := random(m * k)
			keys, wideKeys := random(n * (k + 2))
			for i := most * (k + 2); i < len(keys); i++ {
				keys[i] = 0x7fc0 // NaN
			}
			b := BF16(keys, k+2)
			scores := pageend.Of[float32](t, m*ld)
			packed := w.Pack(pageend.Of[float32](t, PackedWords(k, n)), true, k, n, b)
			for _, first := range []int{0, Whole} {
				left := endsOf(m, func(i int) int { return max(0, ends[i]-first) })
				w.TimesColumnsBF16(left, k, 0.5, a, k, &packed, first, scores, ld)
				for i, end := range left {
					for j := range end {
						sum, size := 0.0, 0.0
						for l := range k {
							x := wideA[i*k+l] * wideKeys[(first+j)*(k+2)+l]
							sum, size = sum+x, size+math.Abs(x)
						}
						near("a score", scores[i*ld+j], sum/2, size)
					}
				}
			}

			weights, wide := random(m * ld)
			for i, end := range ends {
				clear(weights[i*ld+end : (i+1)*ld])
				clear(wide[i*ld+end : (i+1)*ld])
			}
			packed = w.Pack(pageend.Of[float32](t, PackedWords(most, k)), false, most, k, b)
			for _, first := range []int{0, min(Whole, most&^1)} {
				left := endsOf(m, func(i int) int { return max(0, ends[i]-first) })
				sums := pageend.Of[float32](t, m*k)
				for i := range sums {
					sums[i] = 3
				}
				w.TimesStepsBF16(left, k, weights[first:], ld, &packed, first, sums, k)
				for i, end := range left {
					for j := range k {
						sum, size := 3.0, 3.0
						for l := range end {
							x := wide[i*ld+first+l] * wideKeys[(first+l)*(k+2)+j]
							sum, size = sum+x, size+math.Abs(x)
						}
						near("a sum of values", sums[i*k+j], sum, size)
					}
				}
			}

			pairs := pageend.Of[float32](t, (m-1)/2*2*ld+n)
			for i := 0; i < m; i += 2 {
				for j := range n {
					pair := uint32(weights[i*ld+j])
					if i+1 < m {
						pair |= uint32(weights[(i+1)*ld+j]) << 16
					}
					pairs[i*ld+j] = math.Float32frombits(pair)
				}
			}
			packed = w.Pack(pageend.Of[float32](t, PackedWords(m, k)), false, m, k, BF16(a, k))
			sums := pageend.Of[float32](t, n*k)
			for i := range sums {
				sums[i] = 3
			}
			w.TimesRowsBF16(ends, k, pairs, ld, &packed, sums, k)
			for i := range n {
				for j := range k {
					sum, size := 3.0, 3.0
					for l := range m {
						x := wide[l*ld+i] * wideA[l*k+j]
						sum, size = sum+x, size+math.Abs(x)
					}
					near("a sum over rows", sums[i*k+j], sum, size)
				}
			}
		}
	}
}
