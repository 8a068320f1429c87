package cpu

import "github.com/agora-ml/agora/backend/cpu/gemm"

// Peak measures the most floating-point operations a second that so many threads (0: all)
// do in f32, in fused multiply-adds. It takes a fraction of a second, and is 0 where the
// processor's own instructions are not used.
func Peak(threads int) float64 {
	return gemm.Peak(threads)
}
