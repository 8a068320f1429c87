package gemm

import (
	"time"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// Peak is the most floating-point operations a second that the team's threads do in f32:
// those of a loop of nothing but fused multiply-adds, the best of some hundred stretches of
// a few milliseconds. It is 0 where there is no such loop.
func Peak(team *parallel.Team) (best float64) {
	if probeFlops == 0 {
		return 0
	}
	for range 100 {
		start := time.Now()
		team.Run(team.Threads(), func(_, _ int) { probe() })
		best = max(best, probeFlops*float64(team.Threads())/time.Since(start).Seconds())
	}
	return best
}
