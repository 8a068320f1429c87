package cpu

import (
	"unsafe"

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

// packedKeys are blocks of tileKeys keys and values of one head, as operands: those of scores and of weights' gradients
// (dy·v) transposed. A block that no query sees has none.
type packedKeys []struct{ keysT, valuesT, keys, values gemm.Packed }

// operands say which of them are packed.
type operands struct{ keysT, valuesT, keys, values bool }

var (
	forForward = operands{keysT: true, values: true}
	forQueries = operands{keysT: true, valuesT: true, keys: true}
	forKeySums = operands{keysT: true, valuesT: true}
)

// words is the memory of one block, in float32.
func (o operands) words(dim int) (n int) {
	for _, packed := range []bool{o.keysT, o.valuesT, o.keys, o.values} {
		if packed {
			n += gemm.PackedWords(tileKeys, dim)
		}
	}
	return n
}

// blocks is how many blocks of keys a sequence has.
func (a *attentionTiles) blocks() int { return (a.S + tileKeys - 1) / tileKeys }

// packBlock packs a block of the tile's head, less the keys at its end that no query of the sequence sees.
func (o operands) packBlock(t *attentionTile, to packedKeys, block int, memory []float32, key, value tensor.Arg) {
	t.seenBy = t.queryExtent(t.b, 0, t.T)
	j := block * tileKeys
	n, _ := t.overlap(j, min(tileKeys, t.S-j))
	if n == 0 {
		return
	}
	pack := func(to *gemm.Packed, wanted, trans bool, x tensor.Arg) {
		if !wanted {
			return
		}
		rows, cols := n, t.HeadDim
		if trans {
			rows, cols = cols, rows
		}
		size := gemm.PackedWords(rows, cols)
		*to = t.s.gemm.Pack(memory[:size], trans, rows, cols, t.keysOf(x, j))
		memory = memory[size:]
	}
	p := &to[block]
	pack(&p.keysT, o.keysT, true, key)
	pack(&p.valuesT, o.valuesT, true, value)
	pack(&p.keys, o.keys, false, key)
	pack(&p.values, o.values, false, value)
}

// packedTogether is the float32 of keys that are packed at a time, where these are enough: 2 MiB, to be found in a cache.
const packedTogether = 1 << 19

// headsTogether is how many heads' keys are packed at a time, for so many threads to have enough to do: all read them, and
// wait for each other between.
func (a *attentionTiles) headsTogether(o operands, threads int) int {
	tasks := max(1, (a.T+a.queries-1)/a.queries) // of a head
	enough := (4*threads + tasks - 1) / tasks
	return min(a.Batch*a.KVHeads, max(1, enough, packedTogether/max(1, a.blocks()*o.words(a.HeadDim))))
}

// halfTiles calls f for every block of queries, with the packed keys of its head.
func (a *attentionTiles) halfTiles(w *work, o operands, key, value tensor.Arg, f func(t *halfTile)) {
	heads, together, blocks := a.Batch*a.KVHeads, a.headsTogether(o, w.team.Threads()), a.blocks()
	words := o.words(a.HeadDim)
	memory, packed := w.shared.ofKeys(together*blocks*words), make(packedKeys, together*blocks)
	for first := 0; first < heads; first += together {
		n := min(together, heads-first)
		clear(packed)
		w.tasks(n*blocks, 1, func(s *scratch, task, _ int) {
			of := packed[task/blocks*blocks:][:blocks]
			o.packBlock(a.tile(s, first+task/blocks), of, task%blocks, memory[task*words:][:words], key, value)
		})
		a.queryTiles(w, first, n, func(t *attentionTile) {
			head := t.b*a.KVHeads + t.head - first
			f(&halfTile{attentionTile: t, width: whole(a.HeadDim), packed: packed[head*blocks:][:blocks]})
		})
	}
}

// A halfTile is a tile whose operands are bfloat16. Rows of dim elements are made up to width by zeros, and rows to whole
// ones where they are what is summed over; q and dy of the tile are unused.
type halfTile struct {
	*attentionTile
	width            int
	packed           packedKeys
	q16, dy16        []uint16 // [rows, width]
	qT, dyT          []uint16 // [dim, whole rows]
	weights, changes []uint16 // [rows, tileKeys], of scores and dscores
	right            []float32
}

// take16 is memory for n numbers of bfloat16.
func (s *scratch) take16(n int) []uint16 {
	memory := s.take((n + 1) / 2)
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(memory))), n)
}

func (t *halfTile) take() {
	rows := t.most()
	t.out, t.lse = t.s.take(rows*t.width), t.s.take(rows)
	t.scores = t.s.take(rows * tileKeys)
	t.q16, t.weights = t.s.take16(whole(rows)*t.width), t.s.take16(rows*tileKeys)
}

// takeGrad is take with what gradients need besides.
func (t *halfTile) takeGrad() {
	t.take()
	rows := t.most()
	t.dscores, t.delta = t.s.take(rows*tileKeys), t.s.take(rows)
	t.dy16, t.changes = t.s.take16(whole(rows)*t.width), t.s.take16(rows*tileKeys)
}

// takeKeySums is what gradients of keys and values need.
func (t *halfTile) takeKeySums() {
	rows := whole(t.most())
	t.qT, t.dyT = t.s.take16(t.HeadDim*rows), t.s.take16(t.HeadDim*rows)
	t.right = t.s.take(gemm.PackedWords(rows, tileKeys))
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

// times: dst [rows, tileKeys] = x times a block's first n keys.
func (t *halfTile) times(dst []float32, x []uint16, keys *gemm.Packed, n int) {
	t.s.gemm.Times(t.rows, whole(n), t.width, x, t.width, keys, dst, tileKeys, false)
}

// add: out += weights times a block's first n keys.
func (t *halfTile) add(weights []uint16, keys *gemm.Packed, n int) {
	t.s.gemm.Times(t.rows, t.HeadDim, whole(n), weights, tileKeys, keys, t.out, t.width, true)
}

// round rounds row r of some weights of n keys.
func (t *halfTile) round(dst []uint16, row []float32, r int) {
	to := dst[r*tileKeys:][:tileKeys]
	gemm.RoundBF16(to, row)
	clear(to[len(row):whole(len(row))])
}

// backScore makes the probabilities of block j's keys, and the gradients of their scores, both rounded.
func (t *halfTile) backScore(j, n int, all bool) {
	p := &t.packed[j/tileKeys]
	t.times(t.scores, t.q16, &p.keysT, n)
	t.mask(t.Scale, j, n, all)
	t.times(t.dscores, t.dy16, &p.valuesT, n)
	for r := range t.rows {
		t.probabilities(r, n)
		t.round(t.weights, t.scores[r*tileKeys:][:n], r)
		t.round(t.changes, t.dscores[r*tileKeys:][:n], r)
	}
}

func (a *attentionTiles) halfAttention(w *work, y tensor.Arg, lse []float32, q, key, value tensor.Arg) {
	a.halfTiles(w, forForward, key, value, func(t *halfTile) {
		t.take()
		softmax := t.beginSoftmax()
		clear(t.out)
		t.gather16(t.q16, q)
		t.keys(func(j, n int, all bool) {
			p := &t.packed[j/tileKeys]
			t.times(t.scores, t.q16, &p.keysT, n)
			t.mask(t.Scale, j, n, all)
			for r := range t.rows {
				row := t.scores[r*tileKeys:][:n]
				softmax.weigh(row, r, t.out[r*t.width:][:t.HeadDim])
				t.round(t.weights, row, r)
			}
			t.add(t.weights, &p.values, n)
		})
		softmax.store(t.attentionTile, y, lse, t.out, t.width)
	})
}
