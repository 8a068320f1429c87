package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/tensor"
)

// Attention of bfloat16 by micro-kernels of pairs, VDPBF16PS's: tiles are those of float32, rows end where they see no more, queries
// are read where they lie. Weights and gradients of scores are rounded as they are made, in the memory of what they are made of: of
// the forward pass and gradients of queries row by row, of gradients of keys and values in pairs of rows, over which those sum.

// inPairs is gemm.HasRaggedBF16; a test has the tiles of attention_halves.go here, too.
var inPairs = gemm.HasRaggedBF16

// A pairTile is a tile whose operands are bfloat16; q and dy of the tile are unused.
type pairTile struct {
	*attentionTile
	q16, dy16        []uint16 // memory for copies of rows
	qRows, dyRows    []uint16
	qApart, dyApart  int
	changes          []uint16 // dscores row by row, [an even number of rows, across]
	across           int
	noDelta          []float32 // zeros, where there is a soft cap: delta is subtracted before
	qPairs, dyPairs  []float32 // memory for
	qPacked, dPacked gemm.Packed
}

func (t *pairTile) take() {
	rows := t.most()
	t.out, t.room, t.lse = t.s.take(rows*t.HeadDim), t.s.take(rows*t.apart), t.s.take(rows)
	t.q16 = t.s.take16(rows * t.HeadDim)
	t.scores, t.before = t.room, 0
}

// takeGrad is take with what gradients need besides.
func (t *pairTile) takeGrad() {
	t.take()
	rows := t.most()
	t.dscores, t.delta = t.s.take(rows*t.apart), t.s.take(rows)
	if t.SoftCap != 0 {
		t.noDelta = t.s.equal(rows, 0)
	}
	t.across = t.apart
	t.dy16, t.changes = t.s.take16(rows*t.HeadDim), t.s.take16((rows+1)&^1*t.across)
}

// takeKeySums is what gradients of keys and values need.
func (t *pairTile) takeKeySums() {
	n := gemm.PackedWords(t.most(), t.HeadDim)
	t.qPairs, t.dyPairs = t.s.take(n), t.s.take(n)
}

// rowsOf is queryRows of bfloat16.
func (t *pairTile) rowsOf(memory []uint16, x tensor.Arg) (rows []uint16, apart int) {
	t.fetch(x)
	src := elements[uint16](x)
	if apart = t.Heads * t.HeadDim; t.group == 1 && !gemm.InOneSet(apart/2) {
		return src[t.query(t.lo):], apart
	}
	n := t.group * t.HeadDim
	t.eachQuery(func(at, row int) { copy(memory[row*t.HeadDim:][:n], src[at:]) })
	return memory, t.HeadDim
}

// times: dst [rows, seen] = alpha x [rows, dim] times the packed keys from j on.
func (t *pairTile) times(dst []float32, alpha float32, x []uint16, apart int, keys *gemm.Packed, j int) {
	t.s.gemm.TimesColumnsBF16(t.seen, t.HeadDim, alpha, x, apart, keys, j%t.block, dst, t.apart)
}

func (a *attentionTiles) pairAttention(w *work, y tensor.Arg, lse []float32, q, key, value tensor.Arg) {
	a.packedTiles(w, forForward.inPairs(), key, value, func(tile *attentionTile) {
		t := &pairTile{attentionTile: tile}
		t.take()
		softmax := t.beginSoftmax()
		clear(t.out)
		t.qRows, t.qApart = t.rowsOf(t.q16, q)
		t.fetch(y)
		t.keys(func(j, n int, all bool) {
			block := &t.packed[j/t.block]
			t.see(n, all)
			t.grouped(j)
			t.times(t.scores, t.Scale, t.qRows, t.qApart, &block.keysT, j)
			t.maskSeen(1, all)
			softmax.weigh(tile, t.out, t.HeadDim)
			t.s.gemm.TimesStepsBF16(t.seen, t.HeadDim, vec.Words(t.room)[t.before:], 2*t.apart, &block.values, j%t.block, t.out, t.HeadDim)
		})
		softmax.store(tile, y, lse, t.out, t.HeadDim)
	})
}

// begin finds the tile's rows of dy and q, and lse.
func (t *pairTile) begin(dy, q tensor.Arg, lse []float32) {
	t.dyRows, t.dyApart = t.rowsOf(t.dy16, dy)
	t.qRows, t.qApart = t.rowsOf(t.q16, q)
	t.statistics(t.lse, lse)
}

// packRows prepares the tile's rows for addRows.
func (t *pairTile) packRows() {
	n := gemm.PackedWords(t.rows, t.HeadDim)
	t.qPacked = t.s.gemm.Pack(t.qPairs[:n], false, t.rows, t.HeadDim, gemm.BF16(t.qRows, t.qApart))
	t.dPacked = t.s.gemm.Pack(t.dyPairs[:n], false, t.rows, t.HeadDim, gemm.BF16(t.dyRows, t.dyApart))
}

// deltas are dy·y, row by row. They use the memory of out.
func (t *pairTile) deltas(y tensor.Arg) {
	rows, apart := t.rowsOf(vec.Words(t.out), y)
	vec.DotRowsBF16(t.delta[:t.rows], t.dyRows, t.dyApart, rows, apart, t.HeadDim)
}

// backScore makes the probabilities of block j's keys, and the gradients of their scores.
func (t *pairTile) backScore(j, n int, all bool) {
	block := &t.packed[j/t.block]
	t.see(n, all)
	t.times(t.scores, t.Scale, t.qRows, t.qApart, &block.keysT, j)
	t.maskSeen(1, all)
	t.times(t.dscores, 1, t.dyRows, t.dyApart, &block.valuesT, j)
	for r, seen := range t.seen {
		if t.lse[r] == negInf { // sees nothing
			t.seen[r] = 0
		} else if t.SoftCap != 0 {
			t.capChanges(t.dscores[r*t.apart:][:seen], t.scores[r*t.apart:][:seen], t.delta[r])
		}
	}
	delta := t.delta[:t.rows]
	if t.SoftCap != 0 {
		delta = t.noDelta[:t.rows]
	}
	vec.WeighGradRowsBF16(t.scores, t.dscores, t.apart, t.seen, t.seenMost(), t.lse[:t.rows], delta, t.changes, t.across)
}

// capChanges takes delta from gradients of weights, and multiplies them by the slope of the soft cap where it gives these scores.
func (t *pairTile) capChanges(ds, scores []float32, delta float32) {
	for i := range ds {
		ds[i] -= delta
	}
	t.capSlope(ds, scores)
}

// add adds to out, of gradients of queries, the part of the keys from j on.
func (t *pairTile) add(j int) {
	t.s.gemm.TimesStepsBF16(t.seen, t.HeadDim, t.changes, t.across, &t.packed[j/t.block].keys, j%t.block, t.out, t.HeadDim)
}

// addRows adds the tile's part to sums of the keys that it sees.
func (t *pairTile) addRows(sums keySums) {
	d := t.HeadDim
	t.s.gemm.TimesRowsBF16(t.seen, d, t.scores, t.apart, &t.dPacked, sums.vals, d)
	t.s.gemm.TimesRowsBF16(t.seen, d, t.dscores, t.apart, &t.qPacked, sums.keys, d)
}

// gradQ makes and stores the tile's part of dq, and calls also with what is left of each block of keys.
func (t *pairTile) gradQ(dq tensor.Arg, also func(j int)) {
	t.fetch(dq)
	clear(t.out)
	t.keys(func(j, n int, all bool) {
		t.backScore(j, n, all)
		t.add(j)
		also(j)
	})
	t.scatter(dq, t.out, t.HeadDim, t.s.equal(t.rows, t.Scale))
}

// pairAttentionGrad is tiledAttentionGrad.
func (a *attentionTiles) pairAttentionGrad(w *work, dq, dk, dv, dy, y tensor.Arg, lse []float32, q, key, value tensor.Arg) {
	o := forQueries.inPairs()
	w.ranges(a.Batch*a.KVHeads, func(s *scratch, head int) {
		t := &pairTile{attentionTile: a.tile(s, head)}
		t.takeGrad()
		t.takeKeySums()
		memory := s.ofKeys(a.sumFloats() + a.blocks()*o.words(a.HeadDim))
		all := newKeySums(memory[:a.sumFloats()], a.S, a.HeadDim)
		t.packAll(o, memory[a.sumFloats():], key, value)
		used := s.used
		for lo := 0; lo < a.T; lo += t.queries {
			t.move(lo)
			t.begin(dy, q, lse)
			t.deltas(y)
			t.packRows()
			t.gradQ(dq, func(j int) { t.addRows(all.from(j, a.HeadDim)) })
			s.used = used
		}
		for j := 0; j < a.S; j += a.block {
			sums := all.from(j, a.HeadDim)
			sums.n = min(a.block, a.S-j)
			sums.store(t.attentionTile, dk, dv)
			s.used = used
		}
	})
}

// pairAttentionGradQ is tiledAttentionGradQ.
func (a *attentionTiles) pairAttentionGradQ(w *work, dq tensor.Arg, delta []float32, dy, y tensor.Arg, lse []float32,
	q, key, value tensor.Arg) {
	a.packedTiles(w, forQueries.inPairs(), key, value, func(tile *attentionTile) {
		t := &pairTile{attentionTile: tile}
		t.takeGrad()
		t.begin(dy, q, lse)
		t.deltas(y)
		t.eachStatistic(func(row, at int) { delta[at] = t.delta[row] })
		t.gradQ(dq, func(int) {})
	})
}

// pairAttentionGradKV is tiledAttentionGradKV: a task packs its own keys, which no other reads.
func (a *attentionTiles) pairAttentionGradKV(w *work, dk, dv, dy tensor.Arg, lse, delta []float32, q, key, value tensor.Arg) {
	heads, o := a.Batch*a.KVHeads, forKeySums.inPairs()
	w.tasks(a.blocks()*heads, 1, func(s *scratch, task, _ int) {
		block := task / heads
		t := &pairTile{attentionTile: a.tile(s, task%heads)}
		t.takeGrad()
		t.takeKeySums()
		n := min(a.block, a.S-block*a.block)
		sums := newKeySums(s.take(2*n*a.HeadDim), n, a.HeadDim)
		sums.key = block * a.block
		t.packed = make(packedKeys, a.blocks())
		o.packBlock(t.attentionTile, t.packed, block, s.take(o.words(a.HeadDim)), key, value)
		used := s.used
		for lo := 0; lo < a.T; lo += t.queries {
			t.move(lo)
			from, to, everybody := t.overlap(sums.key)
			if from >= to {
				continue
			}
			t.begin(dy, q, lse)
			t.statistics(t.delta, delta)
			t.packRows()
			t.backScore(sums.key+from, to-from, everybody)
			t.addRows(sums.from(from, a.HeadDim))
			s.used = used
		}
		sums.store(t.attentionTile, dk, dv)
	})
}
