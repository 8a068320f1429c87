package cpu

import (
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
)

func init() { plain(dropout[float32], dropout[float64]) }

// dropout: y[i] = x[i] / (1-p) where number i of the stream is at least p, else 0. A
// Philox block has four numbers.
func dropout[F float](w *work, k kernels.Dropout, a args[F]) {
	y, x := a.f[0], a.f[1]
	key := [2]uint32{k.Key0, k.Key1}
	w.team.Rows((k.N+3)/4, grain/4, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			block := random.Philox4x32(key, [4]uint32{uint32(b), uint32(b >> 32), k.Step, k.Op})
			for i := 4 * b; i < min(4*b+4, k.N); i++ {
				if random.Uniform(block[i-4*b]) >= k.P {
					y[i] = x[i] / (1 - F(k.P))
				} else {
					y[i] = 0
				}
			}
		}
	})
}
