package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/tensor"
)

// halfKeySums are keySums in blocks of [dim, halfTileKeys], transposed.
type halfKeySums struct{ keys, vals []float32 }

// halfSums is the floats of those of n keys.
func halfSums(n, dim int) int {
	return 2 * dim * ((n + halfTileKeys - 1) / halfTileKeys * halfTileKeys)
}

func newHalfKeySums(memory []float32) halfKeySums {
	clear(memory)
	return halfKeySums{memory[:len(memory)/2], memory[len(memory)/2:]}
}

// transpose prepares the tile's rows for add.
func (t *halfTile) transpose() {
	rows := whole(t.rows)
	t.s.gemm.TransposeBF16(t.qT, t.q16, t.width, rows, t.HeadDim)
	t.s.gemm.TransposeBF16(t.dyT, t.dy16, t.width, rows, t.HeadDim)
}

// add adds the tile's part to n keys of a block.
func (k *halfKeySums) add(t *halfTile, block, n int) {
	from, rows := block*halfTileKeys*t.HeadDim, whole(t.rows)
	for _, x := range []struct {
		sums    []float32
		left    []uint16
		weights []uint16
	}{{k.vals, t.dyT, t.weights}, {k.keys, t.qT, t.changes}} {
		right := t.s.gemm.Pack(t.right[:gemm.PackedWords(t.rows, whole(n))], false, t.rows, whole(n),
			gemm.BF16(x.weights, halfTileKeys))
		t.s.gemm.Times(t.HeadDim, whole(n), rows, x.left, rows, &right, x.sums[from:], halfTileKeys, true)
	}
}

// store writes the n keys of a block, which is the block-th of dk and dv, to them.
func (k *halfKeySums) store(t *halfTile, from, block int, dk, dv tensor.Arg) {
	d, j := t.HeadDim, block*halfTileKeys
	n := min(halfTileKeys, t.S-j)
	rows := t.s.take(halfTileKeys * d)
	for _, x := range []struct {
		sums []float32
		to   tensor.Arg
		by   float32
	}{{k.keys, dk, t.Scale}, {k.vals, dv, 1}} {
		t.s.gemm.TransposeF32(rows, x.sums[from*halfTileKeys*d:], halfTileKeys, d, halfTileKeys)
		for i := range n {
			at := t.key(j + i)
			vec.Scale(t.s.store(x.to, at, at+d), rows[i*d:(i+1)*d], x.by)
		}
		t.s.round()
	}
}

func (a *attentionTiles) halfTile(s *scratch, head int) *halfTile {
	return &halfTile{attentionTile: a.tile(s, head), width: whole(a.HeadDim)}
}

// halfAttentionGrad is tiledAttentionGrad.
func (a *attentionTiles) halfAttentionGrad(w *work, dq, dk, dv, dy, y tensor.Arg, lse []float32, q, key, value tensor.Arg) {
	blocks, words := a.blocks(), forQueries.words(a.HeadDim)
	w.ranges(a.Batch*a.KVHeads, func(s *scratch, head int) {
		t := a.halfTile(s, head)
		t.takeGrad()
		t.takeKeySums()
		memory := s.ofKeys(halfSums(a.S, a.HeadDim) + blocks*words)
		sums := newHalfKeySums(memory[blocks*words:])
		t.packAll(forQueries, memory[:blocks*words], key, value)
		used := s.used
		for lo := 0; lo < a.T; lo += t.queries {
			t.move(lo)
			t.begin(dy, q, lse)
			t.deltas(y)
			t.transpose()
			t.gradQ(dq, func(block, n int) { sums.add(t, block, n) })
			s.used = used
		}
		for block := range blocks {
			sums.store(t, block, block, dk, dv)
			s.used = used
		}
	})
}

// gradQ makes and stores the tile's part of dq, and calls also with each block of keys and how many of it are seen.
func (t *halfTile) gradQ(dq tensor.Arg, also func(block, n int)) {
	clear(t.out)
	t.keys(func(j, n int, all bool) {
		t.backScore(j, n, all)
		t.add(t.changes, &t.packed[j/halfTileKeys].keys, n)
		also(j/halfTileKeys, n)
	})
	t.scatter(dq, t.out, t.width, t.s.equal(t.rows, t.Scale))
}

// halfAttentionGradQ is tiledAttentionGradQ.
func (a *attentionTiles) halfAttentionGradQ(w *work, dq tensor.Arg, delta []float32, dy, y tensor.Arg, lse []float32,
	q, key, value tensor.Arg) {
	a.halfTiles(w, forQueries, key, value, func(t *halfTile) {
		t.takeGrad()
		t.begin(dy, q, lse)
		t.deltas(y)
		t.eachStatistic(func(row, at int) { delta[at] = t.delta[row] })
		t.gradQ(dq, func(int, int) {})
	})
}

// halfAttentionGradKV is tiledAttentionGradKV: a task packs its own keys, which no other reads.
func (a *attentionTiles) halfAttentionGradKV(w *work, dk, dv, dy tensor.Arg, lse, delta []float32, q, key, value tensor.Arg) {
	heads := a.Batch * a.KVHeads
	w.tasks(a.blocks()*heads, 1, func(s *scratch, task, _ int) {
		block, j := task/heads, task/heads*halfTileKeys
		t := a.halfTile(s, task%heads)
		t.takeGrad()
		t.takeKeySums()
		sums := newHalfKeySums(s.take(halfSums(halfTileKeys, a.HeadDim)))
		t.packed = make(packedKeys, a.blocks())
		forKeySums.packBlock(t.attentionTile, t.packed, block, s.take(forKeySums.words(a.HeadDim)), key, value)
		for lo := 0; lo < a.T; lo += t.queries {
			t.move(lo)
			_, n, everybody := t.overlap(j)
			if n == 0 {
				continue
			}
			t.begin(dy, q, lse)
			t.statistics(t.delta, delta)
			t.transpose()
			t.backScore(j, n, everybody)
			sums.add(t, 0, n)
		}
		sums.store(t, 0, block, dk, dv)
	})
}
