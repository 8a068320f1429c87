package multilora

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// StartShare returns |scale Σ s_i B0_i A0_i|² / |ΔW|² of a layer by Frobenius norms, A0 and B0 being
// what Attach made of the seed: what the random start contributes by itself, the scalings being
// what they are now. It is 0 where B began at zero, an error where ΔW is zero, and may be above 1
// where training works against the start.
func (a *Adapter) StartShare(layer string, seed uint64) (float64, error) {
	l, err := a.find(layer)
	if err != nil {
		return 0, err
	}
	b, lora, err := a.factors(layer)
	if err != nil {
		return 0, err
	}
	now, err := l.read()
	if err != nil {
		return 0, err
	}
	out, in, own := l.B.Value.Dim(0), l.A.Value.Dim(1), a.config.of(layer)
	start := initial(layer, in, out, own, seed)
	for i := range start {
		for k := range start[i].b {
			s := 1.0
			switch len(now[i].s) {
			case 1:
				s = float64(now[i].s[0])
			case out:
				s = float64(now[i].s[k/own.Rank])
			}
			start[i].b[k] = float32(own.Scale() * s * float64(start[i].b[k]))
		}
	}
	a0, b0, _ := stack(start, out)
	rank := own.TotalRank()
	size := productNorm(b, lora)
	if size == 0 {
		return 0, fmt.Errorf("multilora: layer %s: want a change that is not zero, got zero", layer)
	}
	was := productNorm(mat.NewDense(out, rank, widened(b0)), mat.NewDense(rank, in, widened(a0)))
	return was * was / (size * size), nil
}

// productNorm is |b a|, by the small matrices bᵀb and a aᵀ, whose product has its square as trace.
func productNorm(b, a *mat.Dense) float64 {
	var bb, aa mat.Dense
	bb.Mul(b.T(), b)
	aa.Mul(a, a.T())
	square := 0.0
	rank, _ := aa.Dims()
	for i := range rank {
		for j := range rank {
			square += bb.At(i, j) * aa.At(j, i)
		}
	}
	return math.Sqrt(max(0, square))
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
