package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/tensor"
)

// packedKeys are blocks of keys and values of one head, as operands: those of scores and of weights' gradients
// (dy·v) transposed. A block that no query sees has none.
type packedKeys []packedBlock

type packedBlock struct{ keysT, valuesT, keys, values gemm.Packed }

// operands say which of them are packed, and whether in float32.
type operands struct{ keysT, valuesT, keys, values, wide, pairs bool }

// inPairs is the same for the tiles of attention_bf16.go.
func (o operands) inPairs() operands {
	o.pairs = true
	return o
}

var (
	forForward = operands{keysT: true, values: true}
	forQueries = operands{keysT: true, valuesT: true, keys: true}
	forKeySums = operands{keysT: true, valuesT: true}

	forWideForward = operands{keysT: true, values: true, wide: true}
	forWideQueries = operands{keysT: true, valuesT: true, keys: true, wide: true}
	forWideKeySums = operands{keysT: true, valuesT: true, wide: true}
)

// words is the memory of one block, in float32.
func (o operands) words(dim int) (n int) {
	one := gemm.PackedWords(halfTileKeys, dim)
	if o.wide {
		one = max(gemm.PackedFloats(tileKeys, dim), gemm.PackedFloats(dim, tileKeys))
	}
	if o.pairs {
		one = gemm.PackedWords(tileKeys, dim)
	}
	for _, packed := range []bool{o.keysT, o.valuesT, o.keys, o.values} {
		if packed {
			n += one
		}
	}
	return n
}

// blocks is how many blocks of keys a sequence has.
func (a *attentionTiles) blocks() int { return (a.S + a.block - 1) / a.block }

// packBlock packs a block of the tile's head, less the keys at its end that no query of the sequence sees.
func (o operands) packBlock(t *attentionTile, to packedKeys, block int, memory []float32, key, value tensor.Arg) {
	t.seenBy = t.queryExtent(t.b, 0, t.T)
	j := block * t.block
	_, n, _ := t.overlap(j)
	if n == 0 {
		return
	}
	pack := func(to *gemm.Packed, wanted, trans bool, x tensor.Arg) {
		if !wanted {
			return
		}
		t.fetchKeys(x, j, n)
		rows, cols := n, t.HeadDim
		if trans {
			rows, cols = cols, rows
		}
		if o.wide {
			size := gemm.PackedFloats(rows, cols)
			*to = t.s.gemm.PackF32(memory[:size], trans, rows, cols, t.keysOf(x, j))
			memory = memory[size:]
			return
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

// packsWide reports whether keys of these tiles are packed in float32: several tiles of queries read them, and products
// are not by parts, which pack them otherwise.
func (a *attentionTiles) packsWide(byParts bool) bool { return a.T > a.queries && !byParts }

// wide is what tiles of float32 pack of o: nothing where packsWide does not hold.
func (a *attentionTiles) wide(o operands, byParts bool) operands {
	if !a.packsWide(byParts) {
		return operands{}
	}
	return o
}

// wideTiles calls f for every block of queries in float32, with the packed keys of its head, if they are packed.
func (a *attentionTiles) wideTiles(w *work, o operands, key, value tensor.Arg, f func(t *attentionTile)) {
	if o = a.wide(o, w.gemm.ByParts); o.wide {
		a.packedTiles(w, o, key, value, f)
		return
	}
	a.queryTiles(w, 0, a.Batch*a.KVHeads, f)
}

// headsAlone reports whether so many threads have enough to do where each takes whole heads, and packs what is no more than a
// cache near it holds: nobody waits for others then.
func (a *attentionTiles) headsAlone(o operands, threads int) bool {
	heads := a.Batch * a.KVHeads
	return 10*((heads+threads-1)/threads*threads) <= 11*heads && a.blocks()*o.words(a.HeadDim) <= packedTogether
}

// packedTiles calls f for every block of queries, with the packed keys of its head.
func (a *attentionTiles) packedTiles(w *work, o operands, key, value tensor.Arg, f func(t *attentionTile)) {
	heads, together, blocks := a.Batch*a.KVHeads, a.headsTogether(o, w.team.Threads()), a.blocks()
	words := o.words(a.HeadDim)
	if (o.wide || o.pairs) && a.headsAlone(o, w.team.Threads()) {
		w.ranges(heads, func(s *scratch, head int) {
			t := a.tile(s, head)
			t.packAll(o, s.ofKeys(blocks*words), key, value)
			for lo := (a.T - 1) / a.queries * a.queries; lo >= 0; lo -= a.queries {
				t.move(lo)
				f(t)
				s.flush()
			}
		})
		return
	}
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
			t.packed = packed[head*blocks:][:blocks]
			f(t)
		})
	}
}

// packAll packs all blocks of the tile's head.
func (t *attentionTile) packAll(o operands, memory []float32, key, value tensor.Arg) {
	words := o.words(t.HeadDim)
	t.packed = make(packedKeys, t.blocks())
	for block := range t.packed {
		o.packBlock(t, t.packed, block, memory[block*words:][:words], key, value)
	}
}

// packedAt is what is packed of the keys from j on, transposed, and of their values: nil where nothing is.
func (t *attentionTile) packedAt(j int) (keysT, values *gemm.Packed) {
	if t.packed == nil {
		return nil, nil
	}
	p := &t.packed[j/t.block]
	return &p.keysT, &p.values
}

// packedForGrad is packedAt for gradients: keys and values transposed, and keys.
func (t *attentionTile) packedForGrad(j int) (keysT, valuesT, keys *gemm.Packed) {
	if t.packed == nil {
		return nil, nil, nil
	}
	p := &t.packed[j/t.block]
	return &p.keysT, &p.valuesT, &p.keys
}
