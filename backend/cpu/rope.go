package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(rope[float32], rope[float64])
	fast(vectorRoPE)
}

// rope: y1 = x1 cos - sign x2 sin, y2 = x2 cos + sign x1 sin for the pairs (j, j+dim/2)
// of every head. y may be x.
func rope[F float](w *work, k kernels.RoPE, a args[F]) {
	y, x, table, positions := a.f[0], a.f[1], a.f[2], a.i[3]
	half := k.Dim / 2
	w.team.Rows(k.Rows, max(1, grain/(k.Heads*k.Dim)), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			p := ropePosition(k, positions, r)
			for h := range k.Heads {
				at := (r*k.Heads + h) * k.Dim
				for j := range half {
					cos, sin := F(math.NaN()), F(math.NaN())
					if p >= 0 {
						cos, sin = table[p*k.Dim+j], table[p*k.Dim+half+j]*F(k.Sign)
					}
					x1, x2 := x[at+j], x[at+half+j]
					y[at+j] = x1*cos - x2*sin
					y[at+half+j] = x2*cos + x1*sin
				}
			}
		}
	})
}

// ropePosition is the table's row for token r, -1 if it is outside.
func ropePosition(k kernels.RoPE, positions []int32, r int) int {
	p := r % k.Seq
	if positions != nil {
		p = int(positions[r])
	}
	if p >= k.Positions {
		return -1
	}
	return max(p, -1)
}

func vectorRoPE(w *work, k kernels.RoPE, a []tensor.Arg) bool {
	if !atMost32Bits(a) || a[2].DType != tensor.F32 {
		return false
	}
	table := f32s(a[2])
	var positions []int32
	if !a[3].IsNil() {
		positions = elements[int32](a[3])
	}
	x := asHalves(k.Dim/2, a[0], a[1])
	w.rows(k.Rows, k.Heads*k.Dim, func(s *scratch, r, lo, hi int) {
		p := ropePosition(k, positions, r)
		switch {
		case p < 0:
			fillWith(s.store(a[0], lo, hi), float32(math.NaN()))
		case x != nil:
			vec.RoPERowNarrow(x.Half, x.at(0, lo, hi), x.at(1, lo, hi), table[p*k.Dim:(p+1)*k.Dim], k.Sign)
		default:
			vec.RoPERow(s.store(a[0], lo, hi), s.load(a[1], lo, hi), table[p*k.Dim:(p+1)*k.Dim], k.Sign)
		}
	})
	return true
}
