package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// Where a kernel turns rows of B in registers, every number of C has the bits that it has by panels, in any format of A, B and C,
// by any number of threads, whatever is added, and nothing is read or written beside it. That a row's bits do not depend on the
// number of rows follows: it has them in twenty rows, which go through panels.
func TestTurned(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		if kn.turnedGroup == 0 {
			return
		}
		panels := kn
		panels.turned = [3][]func(*tile){}
		r := rand.New(rand.NewPCG(7, 8))
		for trial := range 120 {
			m, n, k := 2+r.IntN(len(kn.turned[0])-2), kn.turnedGroup+r.IntN(200), 8*(1+r.IntN(200))
			if trial%3 == 0 {
				k = 32 * (1 + r.IntN(40))
			}
			f := []format{formatF32, formatF16, formatBF16, formatBlocks}[trial%4]
			if f == formatBlocks {
				k = roundUp(k, 32)
			}
			b := randomMatrix(r, f, n*k, k)
			if f != formatBlocks {
				b, _, _ = strided(t, r, f, n, k)
			}
			alpha := []float32{1, 0.25}[trial/4%2]
			a, _, wideA := strided(t, r, formatF32, m, k)
			for _, acc := range []bool{false, true} {
				name := fmt.Sprintf("%d x %d x %d, format %d, acc %t, alpha %g", m, n, k, f, acc, alpha)
				c, _, start := strided(t, r, formatF32, m, n)
				for i := range start {
					if i%c.ld >= n {
						start[i] = guard // a number, so that it equals itself
					}
				}
				p := newProduct(false, true, m, n, k, alpha, wideA, a.ld, b, start, c.ld, acc)
				if !p.turned(&kn) || p.turned(&panels) {
					t.Fatalf("%s: by panels", name)
				}
				want := pageend.Copy(t, start)
				newWorkspace(panels).SgemmAlpha(false, true, m, n, k, alpha, wideA, a.ld, b, want, c.ld, acc)
				got := pageend.Copy(t, start)
				newWorkspace(kn).SgemmAlpha(false, true, m, n, k, alpha, wideA, a.ld, b, got, c.ld, acc)
				if !slices.EqualFunc(got, want, sameBits) {
					t.Errorf("%s: other bits than by panels", name)
				}
				if alpha != 1 {
					continue
				}
				for _, e := range engines(t, kn) {
					got := pageend.Copy(t, start)
					e.Sgemm(false, true, m, n, k, wideA, a.ld, b, got, c.ld, acc)
					if !slices.EqualFunc(got, want, sameBits) {
						t.Errorf("%s: other bits than by panels", name)
					}
				}
			}
		}
	})
}
func noNumber(f format, bits uint16) bool {
	wide := []float32{0}
	f.widen16(wide, []uint16{bits})
	return math.IsNaN(float64(wide[0]))
}
func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
