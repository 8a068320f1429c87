package multilora

import (
	"math"
	"testing"
)

func TestEffectiveRank(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{0, 0}, 0},
		{[]float64{3}, 1},
		{[]float64{5, 5, 5, 0}, 3},
		{[]float64{2, 1, 1}, 2 * math.Sqrt2}, // shares ½, ¼, ¼: an entropy of 1.5 bits
	} {
		if got := EffectiveRank(c.values); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("effective rank of %v: got %v, want %v", c.values, got, c.want)
		}
	}
}
