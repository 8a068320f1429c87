package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(embedding[float32], embedding[float64])
	plain(embeddingGrad[float32], embeddingGrad[float64])
	fast(vectorEmbedding)
	fast(vectorEmbeddingGrad)
}

// embedding: y[r] = table[ids[r]], a row of NaN for an id outside.
func embedding[F float](w *work, k kernels.Embedding, a args[F]) {
	y, table, ids := a.f[0], a.f[1], a.i[2]
	w.team.Rows(k.Rows, max(1, grain/k.Dim), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			id := int(ids[r])
			for i := range k.Dim {
				y[r*k.Dim+i] = F(math.NaN())
				if id >= 0 && id < k.Vocab {
					y[r*k.Dim+i] = table[id*k.Dim+i]
				}
			}
		}
	})
}

// embeddingGrad: dtable[v] (+)= Σ dy[r] over the r with ids[r] = v, in order of r. A
// task owns some rows of the table and looks at all ids, so that no two add to one row.
func embeddingGrad[F float](w *work, k kernels.EmbeddingGrad, a args[F]) {
	dtable, dy, ids := a.f[0], a.f[1], a.i[2]
	w.team.Rows(k.Vocab, embeddingRows(k.Vocab), func(lo, hi int) {
		if !k.Acc {
			clear(dtable[lo*k.Dim : hi*k.Dim])
		}
		for r, id := range ids {
			if int(id) < lo || int(id) >= hi {
				continue
			}
			for i := range k.Dim {
				dtable[int(id)*k.Dim+i] += dy[r*k.Dim+i]
			}
		}
	})
}

// embeddingRows is how many rows of the table a task owns: few enough tasks that
// looking at all ids in each costs nothing.
func embeddingRows(vocab int) int { return max(16, (vocab+63)/64) }

func vectorEmbedding(w *work, k kernels.Embedding, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	ids := elements[int32](a[2])
	w.rows(k.Rows, k.Dim, func(s *scratch, r, lo, hi int) {
		y := s.store(a[0], lo, hi)
		if id := int(ids[r]); id >= 0 && id < k.Vocab {
			s.loadInto(y, a[1], id*k.Dim)
		} else {
			fillWith(y, float32(math.NaN()))
		}
	})
	return true
}

func vectorEmbeddingGrad(w *work, k kernels.EmbeddingGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	dtable, ids := f32s(a[0]), elements[int32](a[2])
	w.tasks(k.Vocab, embeddingRows(k.Vocab), func(s *scratch, from, to int) {
		if !k.Acc {
			clear(dtable[from*k.Dim : to*k.Dim])
		}
		for r, id := range ids {
			if int(id) < from || int(id) >= to {
				continue
			}
			row := dtable[int(id)*k.Dim : (int(id)+1)*k.Dim]
			vec.Add(row, row, s.load(a[1], r*k.Dim, (r+1)*k.Dim))
			s.flush()
		}
	})
	return true
}
