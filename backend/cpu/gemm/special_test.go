package gemm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// Numbers that are none, infinities and denormal ones reach what they are factors of, and nothing else: not what shares a tile
// with it, nor through what pads a panel.
func TestSpecialNumbers(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	special := []float32{nan, inf, -inf, float32(math.Copysign(0, -1)), 1e-40, -1e-45}
	special16 := [][]uint16{formatF16: {0x7e00, 0x7c00, 0xfc00, 0x8000, 1, 0x8001}, formatBF16: {0x7fc0, 0x7f80, 0xff80, 0x8000, 1, 0x8001}}
	team := parallel.New(2)
	defer team.Close()
	everyKernel(t, func(t *testing.T, kn kernel) {
		r := rand.New(rand.NewPCG(79, 79))
		by := []multiplier{newWorkspace(kn), newEngine(team, kn)}
		for trial := range 300 {
			m, n, k, transA, transB := 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(80), r.IntN(2) == 0, r.IntN(2) == 0
			switch {
			case trial%6 == 0:
				m = 1
			case trial%5 == 2 && kn.turnedMost > 0:
				m, n, k, transA, transB = 2+r.IntN(kn.turnedMost-1), 8*kn.turnedMost+r.IntN(70), 8*(1+r.IntN(10)), false, true
			case trial%20 == 1 && !testing.Short():
				m, n, k = 100+r.IntN(100), 1+r.IntN(300), 500+r.IntN(300)
			}
			p := newProblem(t, r, m, n, k, transA, transB, false, format(r.IntN(3)))
			placeA := func(i, l int) int {
				if p.transA {
					i, l = l, i
				}
				return i*p.lda + l
			}
			placeB := func(l, j int) int {
				if p.transB {
					l, j = j, l
				}
				return l*p.ldb + j
			}
			for range 1 + r.IntN(4) { // factors of each other
				l := r.IntN(k)
				if zero := r.IntN(3); zero < 2 { // of all rows, or of none
					for i := range m * zero {
						p.a[placeA(i, l)] = 0
					}
				}
				p.a[placeA(r.IntN(m), l)] = special[r.IntN(len(special))]
				at := placeB(l, r.IntN(n))
				if p.b[at] = special[r.IntN(len(special))]; p.format != formatF32 {
					p.half[at] = special16[p.format][r.IntN(len(special))]
					p.b[at] = p.format.wide(p.half[at])
				}
			}
			by[trial%2].Sgemm(p.transA, p.transB, m, n, k, p.a, p.lda, p.matrix(), p.c, p.ldc, false)
			for i := range m {
				for j := range n {
					want, size := exactSum(false, 0, k, func(l int) float64 {
						return float64(p.a[placeA(i, l)]) * float64(p.b[placeB(l, j)])
					})
					got := float64(p.c[i*p.ldc+j])
					bound := size*0x1p-24*(4+2*math.Sqrt(float64(k))) + float64(k)*0x1p-149
					if same := got == want || math.IsNaN(got) && math.IsNaN(want); !same && !(math.Abs(got-want) <= bound && !math.IsInf(size, 0)) {
						t.Fatalf("%v: C[%d,%d] = %v, want %v", p, i, j, got, want)
					}
				}
			}
		}
	})
}
