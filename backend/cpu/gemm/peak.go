package gemm

import (
	"time"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// Peak is the most floating-point operations a second that so many threads (0: all) do in f32:
// those of a loop of nothing but fused multiply-adds, the best of some hundred stretches of
// a few milliseconds. It is 0 where there is no such loop.
func Peak(threads int) (best float64) {
	if probeFlops == 0 {
		return 0
	}
	team := parallel.New(threads)
	defer team.Close()
	for range 100 {
		start := time.Now()
		team.Run(team.Threads(), func(_, _ int) { probe() })
		best = max(best, probeFlops*float64(team.Threads())/time.Since(start).Seconds())
	}
	return best
}
