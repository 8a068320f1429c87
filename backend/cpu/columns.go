package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/tensor"
)

// Sums over the rows of a matrix are cut into rectangles: so many columns that their
// sums stay in the first level of cache, and so few rows that there is work for
// everybody. The cut, and with it every bit of the result, depends on the shape alone.
const (
	sumColumns = 1024
	sumRowsOf  = 256
)

// columnSums: y[o, c] (+)= scale Σ_n term(o, n, c). add adds the terms of row
// r = o rows + n, columns [lo, hi), to the sums.
func (w *work) columnSums(outer, rows, cols int, acc bool, y tensor.Arg, scale float32,
	add func(s *scratch, sums []float32, r, lo, hi int)) {
	strips, pieces := (cols+sumColumns-1)/sumColumns, (rows+sumRowsOf-1)/sumRowsOf
	partial := w.shared.take(outer * pieces * cols)
	defer w.shared.flush()
	w.tasks(outer*pieces*strips, 1, func(s *scratch, task, _ int) {
		lo := task % strips * sumColumns
		hi := min(lo+sumColumns, cols)
		o, p := task/strips/pieces, task/strips%pieces
		sums := partial[task/strips*cols+lo : task/strips*cols+hi]
		clear(sums)
		for n := p * sumRowsOf; n < min((p+1)*sumRowsOf, rows); n++ {
			add(s, sums, o*rows+n, lo, hi)
			s.flush()
		}
	})
	w.tasks(outer*strips, 1, func(s *scratch, task, _ int) {
		lo := task % strips * sumColumns
		hi := min(lo+sumColumns, cols)
		o := task / strips
		total := partial[o*pieces*cols+lo : o*pieces*cols+hi]
		for p := 1; p < pieces; p++ {
			row := (o*pieces + p) * cols
			vec.Add(total, total, partial[row+lo:row+hi])
		}
		out := s.update(y, o*cols+lo, o*cols+hi)
		if !acc {
			clear(out)
		}
		vec.Axpy(out, total, scale)
	})
}
