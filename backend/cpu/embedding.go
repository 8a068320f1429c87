package cpu

import (
	"math"

	"github.com/agora-ml/agora/shaders"
)

func init() {
	plain(embedding[float32], embedding[float64])
	plain(embeddingGrad[float32], embeddingGrad[float64])
}

// embedding: y[r] = table[ids[r]], a row of NaN for an id outside.
func embedding[F float](w *work, k shaders.Embedding, a args[F]) {
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
func embeddingGrad[F float](w *work, k shaders.EmbeddingGrad, a args[F]) {
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
