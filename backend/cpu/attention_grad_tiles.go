package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	fast(tiledAttentionGrad)
	fast(tiledAttentionGradQ)
	fast(tiledAttentionGradKV)
}

// gradRows is tileRows for gradients, which read and write the sums of all keys for each tile.
const gradRows = 96

// newGradTiles is newTiles for gradients.
func newGradTiles(k kernels.Attention, halves bool) *attentionTiles {
	a := newTiles(k, halves)
	if !halves || a.pairs {
		a.cut(gradRows)
	}
	return a
}

// takeGrad is take with what tiles of gradients need besides.
func (t *attentionTile) takeGrad() {
	t.take()
	t.dy = t.s.take(t.most()*t.HeadDim + gemm.Whole)
	t.takeScoreGrads()
}

// takeScoreGrads reserves what gradients of scores need.
func (t *attentionTile) takeScoreGrads() {
	rows := t.most()
	t.dscores, t.delta = t.s.take(rows*t.apart), t.s.take(rows)
	if t.SoftCap != 0 {
		t.capped = t.s.take(rows * t.apart)
	}
}

// begin puts the tile's rows of dy and q, and lse, where tiles of gradients want them.
func (t *attentionTile) begin(dy, q tensor.Arg, lse []float32) {
	t.gather(t.dy, dy)
	t.gather(t.q, q)
	t.statistics(t.lse, lse)
}

// statistics copies the tile's elements of a [batch, heads, t] tensor.
func (t *attentionTile) statistics(dst, x []float32) {
	t.eachStatistic(func(row, at int) { dst[row] = x[at] })
}

// deltas are dy·y, row by row. They use the memory of out.
func (t *attentionTile) deltas(y tensor.Arg) {
	t.gather(t.out, y)
	d := t.HeadDim
	for r := range t.rows {
		t.delta[r] = float32(vec.Dot(t.dy[r*d:(r+1)*d], t.out[r*d:(r+1)*d]))
	}
}

// backScore makes the probabilities of a block of keys, and the gradients of their scores.
func (t *attentionTile) backScore(key, value tensor.Arg, j, n int, all bool) {
	t.see(n, all)
	keysT, valuesT, _ := t.packedForGrad(j)
	t.timesKeys(t.scores, t.Scale, t.q, t.HeadDim, key, keysT, j, n)
	t.mask(1, n, all)
	t.timesKeys(t.dscores, 1, t.dy, t.HeadDim, value, valuesT, j, n)
	t.probabilities(n)
}

// addScoreGrads adds to out, of gradients of queries, the part of n keys from j on.
func (t *attentionTile) addScoreGrads(key tensor.Arg, j, n int) {
	_, _, keys := t.packedForGrad(j)
	t.addKeys(t.out, t.dscores, key, keys, j, n)
}

// probabilities turns scores of n keys into exp(score - lse), and dscores, which holds dy·v, into the gradient of Scale q·k: both
// zero where a key is not seen.
func (t *attentionTile) probabilities(n int) {
	for r, seen := range t.seen {
		if t.lse[r] == negInf { // sees nothing
			clear(t.scores[r*t.apart:][:seen])
			t.seen[r] = 0
		}
	}
	vec.ClearRows(t.dscores, t.apart, t.seen, n)
	if t.SoftCap != 0 {
		copy(t.capped, t.scores)
	}
	vec.WeighGradRows(t.scores, t.dscores, t.apart, t.seen, t.lse[:t.rows], t.delta[:t.rows])
	if t.SoftCap != 0 {
		for r, seen := range t.seen {
			t.capSlope(t.dscores[r*t.apart:][:seen], t.capped[r*t.apart:][:seen])
		}
	}
}

// capSlope multiplies ds by the slope of the soft cap where it gives these scores. A key that is
// not seen has none, and no gradient.
func (t *attentionTile) capSlope(ds, scores []float32) {
	for i, s := range scores {
		if s != negInf {
			bent := s / t.SoftCap
			ds[i] *= 1 - bent*bent
		}
	}
}

// keySums are the gradients of n keys from one on, and of their values, [n, dim] each, as sums over queries.
type keySums struct {
	key, n     int
	keys, vals []float32
}

// add adds the tile's part to the first n of them.
func (k *keySums) add(t *attentionTile, n int) {
	t.addRows(k.vals, t.scores, t.dy, n)
	t.addRows(k.keys, t.dscores, t.q, n)
}

// store writes them to dk and dv.
func (k *keySums) store(t *attentionTile, dk, dv tensor.Arg) {
	d := t.HeadDim
	t.fetchKeys(dk, k.key, k.n)
	t.fetchKeys(dv, k.key, k.n)
	at, apart := t.key(k.key), t.KVHeads*d
	storeRows(dk, at, apart, k.keys, d, d, t.s.equal(k.n, t.Scale))
	storeRows(dv, at, apart, k.vals, d, d, t.s.equal(k.n, 1))
}

// tiledAttentionGrad makes scores and probabilities once, for all three gradients: those of keys and values are
// summed for a whole sequence and key head. Every sum has the order that the other two kernels give it.
func tiledAttentionGrad(w *work, k kernels.AttentionGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	dq, dk, dv, dy, y, lse, q, key, value := a[0], a[1], a[2], a[3], a[4], f32s(a[5]), a[6], a[7], a[8]
	halves := inHalves(kernels.Attention(k), dy, q, key, value)
	tiles := newGradTiles(kernels.Attention(k), halves).seeing(a[9:13])
	if tiles.pairs {
		tiles.pairAttentionGrad(w, dq, dk, dv, dy, y, lse, q, key, value)
		return true
	}
	if halves {
		tiles.halfAttentionGrad(w, dq, dk, dv, dy, y, lse, q, key, value)
		return true
	}
	o := tiles.wide(forWideQueries, w.gemm.ByParts)
	w.ranges(k.Batch*k.KVHeads, func(s *scratch, head int) {
		t := tiles.tile(s, head)
		t.takeGrad()
		memory := s.ofKeys(tiles.sumFloats() + tiles.blocks()*o.words(k.HeadDim))
		all := newKeySums(memory[:tiles.sumFloats()], k.S, k.HeadDim)
		if o.wide {
			t.packAll(o, memory[tiles.sumFloats():], key, value)
		}
		used := s.used
		for lo := 0; lo < k.T; lo += t.queries {
			t.move(lo)
			t.begin(dy, q, lse)
			t.deltas(y)
			t.fetch(dq)
			clear(t.out)
			t.keys(func(j, n int, everybody bool) {
				t.backScore(key, value, j, n, everybody)
				t.addScoreGrads(key, j, n)
				sums := all.from(j, k.HeadDim)
				sums.add(t, n)
			})
			t.scatter(dq, t.out, k.HeadDim, t.s.equal(t.rows, k.Scale))
			s.used = used
		}
		for j := 0; j < k.S; j += tiles.block {
			sums := all.from(j, k.HeadDim)
			sums.n = min(tiles.block, k.S-j)
			sums.store(t, dk, dv)
			s.used = used
		}
	})
	return true
}

// sumFloats is the memory for keySums of a whole sequence.
func (a *attentionTiles) sumFloats() int { return 2 * a.S * a.HeadDim }

// newKeySums are those of n keys, zero.
func newKeySums(memory []float32, n, dim int) keySums {
	clear(memory)
	return keySums{n: n, keys: memory[:n*dim], vals: memory[n*dim:]}
}

// equal is n numbers that are alike, until the next flush.
func (s *scratch) equal(n int, number float32) []float32 {
	x := s.take(n)
	setAll(x, number)
	return x
}

// ofKeys is memory for n floats of undefined content, that is kept.
func (s *scratch) ofKeys(n int) []float32 {
	if cap(s.keys) < n {
		s.keys = make([]float32, n)
	}
	return s.keys[:n]
}

// from is the sums without those of the first j keys.
func (k keySums) from(j, dim int) keySums {
	return keySums{key: k.key + j, n: k.n - j, keys: k.keys[j*dim:], vals: k.vals[j*dim:]}
}

// mostKeySums is the most elements of keys of which a worker keeps the sums, 4 MiB for both; packed keys and values take 6 more.
const mostKeySums = 1 << 19

// inOnePass reports whether so many threads make all gradients of an attention together: 10 products of a tile in the
// place of 14, but in one task a sequence and key head, of which there may be too few.
func inOnePass(k kernels.Attention, threads int) bool {
	tasks := k.Batch * k.KVHeads
	rounds := (tasks + threads - 1) / threads
	return k.S*k.HeadDim <= mostKeySums && 10*rounds*threads <= 14*tasks
}

// Offers makes the backend a tensor.Offerer.
func (b *backend) Offers(k tensor.Kernel) bool { return offers(k, b.threads) }

func offers(k tensor.Kernel, threads int) bool {
	if grad, ok := k.(kernels.AttentionGrad); ok {
		return inOnePass(kernels.Attention(grad), threads)
	}
	return implemented[k.Name()] != nil
}

func tiledAttentionGradQ(w *work, k kernels.AttentionGradQ, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	dq, delta, dy, y, lse, q, key, value := a[0], f32s(a[1]), a[2], a[3], f32s(a[4]), a[5], a[6], a[7]
	halves := inHalves(kernels.Attention(k), dy, q, key, value)
	tiles := newGradTiles(kernels.Attention(k), halves).seeing(a[8:12])
	if tiles.pairs {
		tiles.pairAttentionGradQ(w, dq, delta, dy, y, lse, q, key, value)
		return true
	}
	if halves {
		tiles.halfAttentionGradQ(w, dq, delta, dy, y, lse, q, key, value)
		return true
	}
	tiles.wideTiles(w, forWideQueries, key, value, func(t *attentionTile) {
		t.takeGrad()
		t.begin(dy, q, lse)
		t.deltas(y)
		t.eachStatistic(func(row, at int) { delta[at] = t.delta[row] })
		t.fetch(dq)
		clear(t.out)
		t.keys(func(j, n int, all bool) {
			t.backScore(key, value, j, n, all)
			t.addScoreGrads(key, j, n)
		})
		t.scatter(dq, t.out, k.HeadDim, t.s.equal(t.rows, k.Scale))
	})
	return true
}

func tiledAttentionGradKV(w *work, k kernels.AttentionGradKV, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	dk, dv, dy, lse, delta, q, key, value := a[0], a[1], a[2], f32s(a[3]), f32s(a[4]), a[5], a[6], a[7]
	halves, d := inHalves(kernels.Attention(k), dy, q, key, value), k.HeadDim
	tiles := newGradTiles(kernels.Attention(k), halves).seeing(a[8:12])
	if tiles.pairs {
		tiles.pairAttentionGradKV(w, dk, dv, dy, lse, delta, q, key, value)
		return true
	}
	if halves {
		tiles.halfAttentionGradKV(w, dk, dv, dy, lse, delta, q, key, value)
		return true
	}
	blocks, o := tiles.blocks(), tiles.wide(forWideKeySums, w.gemm.ByParts)
	w.tasks(blocks*k.Batch*k.KVHeads, 1, func(s *scratch, task, _ int) {
		block, head := task/(k.Batch*k.KVHeads), task%(k.Batch*k.KVHeads)
		t := tiles.tile(s, head)
		t.takeGrad()
		sums := keySums{key: block * tiles.block, n: min(tiles.block, k.S-block*tiles.block)}
		sums.keys, sums.vals = s.take(sums.n*d), s.take(sums.n*d)
		clear(sums.keys)
		clear(sums.vals)
		if o.wide {
			t.packed = make(packedKeys, tiles.blocks())
			o.packBlock(t, t.packed, block, s.take(o.words(d)), key, value)
		}
		for lo := 0; lo < k.T; lo += t.queries {
			t.move(lo)
			from, to, everybody := t.overlap(sums.key)
			if from >= to {
				continue
			}
			t.begin(dy, q, lse)
			t.statistics(t.delta, delta)
			t.backScore(key, value, sums.key+from, to-from, everybody)
			seen := sums.from(from, d)
			seen.add(t, to-from)
		}
		sums.store(t, dk, dv)
	})
	return true
}
