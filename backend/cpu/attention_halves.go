package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Attention of bfloat16, where the processor multiplies it: products take operands as they are and round weights to it,
// as PyTorch's do. What several products read is packed for them once: keys and values for all queries of a sequence,
// a tile's queries for all keys. Gradients of keys and values are summed transposed, [dim, keys], so that weights are
// the operand whose rows lie as they are made, and the queries' rows the one that is transposed, once a tile.

// inHalves reports whether attention of these operands is computed so.
func inHalves(k kernels.Attention, operands ...tensor.Arg) bool {
	for _, x := range operands {
		if x.DType != tensor.BF16 {
			return false
		}
	}
	return gemm.PacksBF16(k.HeadDim) && k.T > 1
}

// whole rounds up to the rows and columns of whole tiles.
func whole(n int) int { return (n + gemm.Whole - 1) / gemm.Whole * gemm.Whole }

// halfTiles calls f for every block of queries, with the packed keys of its head.
func (a *attentionTiles) halfTiles(w *work, o operands, key, value tensor.Arg, f func(t *halfTile)) {
	a.packedTiles(w, o, key, value, func(t *attentionTile) { f(&halfTile{attentionTile: t, width: whole(a.HeadDim)}) })
}

// A halfTile is a tile whose operands are bfloat16. Rows of dim elements are made up to width by zeros, and rows to whole
// ones where they are what is summed over; q and dy of the tile are unused.
type halfTile struct {
	*attentionTile
	width            int
	q16, dy16        []uint16 // [rows, width]
	qT, dyT          []uint16 // [dim, whole rows]
	weights, changes []uint16 // [rows, halfTileKeys], of scores and dscores
	right            []float32
}

// take16 is memory for n numbers of bfloat16.
func (s *scratch) take16(n int) []uint16 {
	return vec.Words(s.take((n + 1) / 2))[:n]
}

func (t *halfTile) take() {
	rows := t.most()
	t.out, t.lse = t.s.take(rows*t.width), t.s.take(rows)
	t.scores = t.s.take(rows * halfTileKeys)
	t.q16, t.weights = t.s.take16(whole(rows)*t.width), t.s.take16(rows*halfTileKeys)
}

// takeGrad is take with what gradients need besides.
func (t *halfTile) takeGrad() {
	t.take()
	rows := t.most()
	t.takeScoreGrads()
	t.dy16, t.changes = t.s.take16(whole(rows)*t.width), t.s.take16(rows*halfTileKeys)
}

// takeKeySums is what gradients of keys and values need.
func (t *halfTile) takeKeySums() {
	rows := whole(t.most())
	t.qT, t.dyT = t.s.take16(t.HeadDim*rows), t.s.take16(t.HeadDim*rows)
	t.right = t.s.take(gemm.PackedWords(rows, halfTileKeys))
}

// gather16 copies the tile's rows of a [batch, t, heads, dim] tensor, and makes them up.
func (t *halfTile) gather16(dst []uint16, x tensor.Arg) {
	d, src := t.HeadDim, elements[uint16](x)
	if d < t.width {
		clear(dst)
	}
	clear(dst[t.rows*t.width : whole(t.rows)*t.width])
	t.eachQuery(func(at, row int) {
		for g := range t.group {
			copy(dst[(row+g)*t.width:][:d], src[at+g*d:])
		}
	})
}

// begin puts the tile's rows of dy and q, and lse, where tiles of gradients want them.
func (t *halfTile) begin(dy, q tensor.Arg, lse []float32) {
	t.gather16(t.dy16, dy)
	t.gather16(t.q16, q)
	t.statistics(t.lse, lse)
}

// deltas are dy·y, row by row.
func (t *halfTile) deltas(y tensor.Arg) {
	t.gather(t.out, y)
	d := t.HeadDim
	row := t.s.take(d)
	for r := range t.rows {
		vec.FromBF16(row, t.dy16[r*t.width:][:d])
		t.delta[r] = float32(vec.Dot(row, t.out[r*d:(r+1)*d]))
	}
}

// times: dst [rows, halfTileKeys] = x times a block's first n keys.
func (t *halfTile) times(dst []float32, x []uint16, keys *gemm.Packed, n int) {
	t.s.gemm.Times(t.rows, whole(n), t.width, x, t.width, keys, dst, halfTileKeys, false)
}

// add: out += weights times a block's first n keys.
func (t *halfTile) add(weights []uint16, keys *gemm.Packed, n int) {
	t.s.gemm.Times(t.rows, t.HeadDim, whole(n), weights, halfTileKeys, keys, t.out, t.width, true)
}

// round rounds row r of some weights of n keys.
func (t *halfTile) round(dst []uint16, row []float32, r int) {
	to := dst[r*halfTileKeys:][:halfTileKeys]
	gemm.RoundBF16(to, row)
	clear(to[len(row):whole(len(row))])
}

// backScore makes the probabilities of block j's keys, and the gradients of their scores, both rounded.
func (t *halfTile) backScore(j, n int, all bool) {
	p := &t.packed[j/halfTileKeys]
	t.see(n, all)
	t.times(t.scores, t.q16, &p.keysT, n)
	t.mask(t.Scale, n, all)
	t.times(t.dscores, t.dy16, &p.valuesT, n)
	t.probabilities(n)
	for r := range t.rows {
		t.round(t.weights, t.scores[r*halfTileKeys:][:n], r)
		t.round(t.changes, t.dscores[r*halfTileKeys:][:n], r)
	}
}

func (a *attentionTiles) halfAttention(w *work, y tensor.Arg, lse []float32, q, key, value tensor.Arg) {
	a.halfTiles(w, forForward, key, value, func(t *halfTile) {
		t.take()
		softmax := t.beginSoftmax()
		clear(t.out)
		t.gather16(t.q16, q)
		t.keys(func(j, n int, all bool) {
			p := &t.packed[j/halfTileKeys]
			t.see(n, all)
			t.times(t.scores, t.q16, &p.keysT, n)
			t.mask(t.Scale, n, all)
			softmax.weigh(t.attentionTile, t.out, t.width)
			for r := range t.rows {
				t.round(t.weights, t.scores[r*halfTileKeys:][:n], r)
			}
			t.add(t.weights, &p.values, n)
		})
		softmax.store(t.attentionTile, y, lse, t.out, t.width)
	})
}
