package multilora

import (
	"math"
	"slices"
	"testing"
)

// With A and B as they began, all of the change is the start's; later it is what the formula says.
func TestStartShare(t *testing.T) {
	for name, cfg := range kinds() {
		m := tiny(t, open(t, 1))
		a, err := Attach(m, cfg, 9)
		if err != nil {
			t.Fatal(err)
		}
		layer := "model.layers.0.self_attn.q_proj" // [24, 24]
		at := slices.Index(a.Layers(), layer)
		if _, err := a.StartShare(layer, 9); err == nil {
			t.Errorf("%s: of no change yet: want an error", name)
		}
		began, err := a.layers[at].linear.read()
		if err != nil {
			t.Fatal(err)
		}
		trained(t, m, 4)
		now, err := a.layers[at].linear.read()
		if err != nil {
			t.Fatal(err)
		}
		own := cfg.of(layer)
		square := func(ms []module) (sum float64) {
			for o := range 24 {
				for in := range 24 {
					w := 0.0
					for i, x := range ms {
						s := 1.0
						if now[i].s != nil {
							s = float64(now[i].s[min(o, len(now[i].s)-1)])
						}
						for r := range own.Rank {
							w += own.Scale() * s * float64(x.b[o*own.Rank+r]) * float64(x.a[r*24+in])
						}
					}
					sum += w * w
				}
			}
			return sum
		}
		want := square(began) / square(now)
		got, err := a.StartShare(layer, 9)
		if err != nil || math.Abs(got-want) > 1e-5*want {
			t.Errorf("%s: share %g, want %g, %v", name, got, want, err)
		}
		if learns := cfg.learnsScaling(); learns != (got > 0) {
			t.Errorf("%s: share %g", name, got)
		}
		if !cfg.learnsScaling() {
			continue
		}
		l := a.layers[at].linear
		l.set([]module(withScalings(began, now)))
		if got, err := a.StartShare(layer, 9); err != nil || math.Abs(got-1) > 1e-5 {
			t.Errorf("%s: share of the start itself %g, want 1, %v", name, got, err)
		}
	}
}

// withScalings are modules with the scalings of others.
func withScalings(ms, others []module) []module {
	for i := range ms {
		ms[i].s = others[i].s
	}
	return ms
}
