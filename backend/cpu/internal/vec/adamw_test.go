package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAdamWSameBits: a run may be resumed on another machine.
func TestAdamWSameBits(t *testing.T) {
	const n, steps = 1003, 20
	var want []float32
	eachImplementation(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		p, m, v := normal(rng, n, 1), make([]float32, n), make([]float32, n)
		for step := range steps {
			s := testStep
			s.Correction1 = 1 - math.Pow(s.Beta1, float64(step+1))
			s.Correction2 = 1 - math.Pow(s.Beta2, float64(step+1))
			AdamW(p, m, v, normal(rng, n, 0.01), s)
		}
		got := append(append(p, m...), v...)
		if want == nil {
			want = got
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("element %d = %g, in Go %g", i, got[i], want[i])
			}
		}
	})
}
