package cpu

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

func init() { plain(clipFactor[float32], clipFactor[float64]) }

// clipFactor: norm = √Σ partial, factor = min(1, max_norm / (norm + 1e-6)), or 1
// where max_norm is 0. A norm that is no finite number makes the factor NaN.
func clipFactor[F float](_ *work, k kernels.ClipFactor, a args[F]) {
	factor, norm, partial := a.f[0], a.f[1], a.f[2]
	s := 0.0
	for _, v := range partial[:k.N] {
		s += float64(v)
	}
	n := math.Sqrt(s)
	norm[0] = F(n)
	switch {
	case !(n <= math.MaxFloat64):
		factor[0] = F(math.NaN())
	case k.MaxNorm == 0:
		factor[0] = 1
	default:
		factor[0] = F(min(1, float64(k.MaxNorm)/(n+1e-6)))
	}
}
