package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// The fast versions work on tiles of queries × keys that stay in a core's cache, with
// package gemm's products (Dao, "FlashAttention-2", 2307.08691). The rows of a tile
// are the queries of all the heads that share a key head, so that their keys are
// packed once. Tiles in which nothing is seen are skipped.
const (
	fewestRows = 64  // about: queries × heads of a group
	mostRows   = 128 // the same in long sequences, where little of a tile is beyond the diagonal
	tileKeys   = 128 // keys
)

func init() {
	fast(tiledAttention)
	fast(tiledAttentionGradQ)
	fast(tiledAttentionGradKV)
}

// attentionTiles cuts one attention by its shape.
type attentionTiles struct {
	kernels.Attention
	visibility
	group   int // heads that share a key head
	queries int // of a tile
}

func tilesOf(k kernels.Attention, indices []tensor.Arg) *attentionTiles {
	group := k.Heads / max(1, k.KVHeads)
	rows := min(max(fewestRows, k.T/8), mostRows)
	return &attentionTiles{k, seeing(k, slices[float32](indices).i), group, max(1, rows/max(1, group))}
}

// A tile is a block of queries of one sequence and key head, and what it works on.
type attentionTile struct {
	*attentionTiles
	s              *scratch
	b, head        int // sequence and key head
	lo, hi         int // queries
	seenBy         extent
	rows           int
	q, out, scores []float32 // [rows, dim], [rows, dim], [rows, tileKeys]
	dy, dscores    []float32 // of the gradients
	lse, delta     []float32 // [rows]
}

// queryTiles calls f for every block of queries, those that see the most first.
func (a *attentionTiles) queryTiles(w *work, f func(t *attentionTile)) {
	blocks := (a.T + a.queries - 1) / a.queries
	w.tasks(a.Batch*a.KVHeads*blocks, 1, func(s *scratch, task, _ int) {
		block, rest := blocks-1-task/(a.Batch*a.KVHeads), task%(a.Batch*a.KVHeads)
		t := &attentionTile{attentionTiles: a, s: s, b: rest / a.KVHeads, head: rest % a.KVHeads}
		t.take()
		t.out = s.take(len(t.q))
		clear(t.out)
		t.move(block * a.queries)
		f(t)
	})
}

// take reserves what every tile needs.
func (t *attentionTile) take() {
	rows := min(t.queries, t.T) * t.group
	t.q, t.scores, t.lse = t.s.take(rows*t.HeadDim), t.s.take(rows*tileKeys), t.s.take(rows)
}

// takeGrad reserves what the tiles of gradients need besides.
func (t *attentionTile) takeGrad() {
	rows := min(t.queries, t.T) * t.group
	t.dy, t.dscores, t.delta = t.s.take(rows*t.HeadDim), t.s.take(rows*tileKeys), t.s.take(rows)
}

// move sets the tile's queries to those from lo on.
func (t *attentionTile) move(lo int) {
	t.lo, t.hi = lo, min(lo+t.queries, t.T)
	t.rows = (t.hi - t.lo) * t.group
	t.seenBy = t.queryExtent(t.b, t.lo, t.hi)
}

// eachQuery calls f with the elements of a [batch, t, heads, dim] tensor, and the
// first row of the tile, that belong to each query.
func (t *attentionTile) eachQuery(f func(at, row int)) {
	for i := t.lo; i < t.hi; i++ {
		f(((t.b*t.T+i)*t.Heads+t.head*t.group)*t.HeadDim, (i-t.lo)*t.group)
	}
}

// gather copies the tile's rows of a [batch, t, heads, dim] tensor, times alpha.
func (t *attentionTile) gather(dst []float32, x tensor.Arg, alpha float32) {
	n := t.group * t.HeadDim
	if x.DType == tensor.F32 {
		src := f32s(x)
		t.eachQuery(func(at, row int) { copy(dst[row*t.HeadDim:][:n], src[at:]) })
	} else {
		t.eachQuery(func(at, row int) { t.s.loadInto(dst[row*t.HeadDim:][:n], x, at) })
	}
	if dst = dst[:t.rows*t.HeadDim]; alpha != 1 {
		vec.Scale(dst, dst, alpha)
	}
}

// scatter is the inverse of gather, with a factor for every row.
func (t *attentionTile) scatter(y tensor.Arg, src []float32, alpha func(row int) float32) {
	d := t.HeadDim
	t.eachQuery(func(at, row int) {
		to := t.s.store(y, at, at+t.group*d)
		for g := range t.group {
			vec.Scale(to[g*d:(g+1)*d], src[(row+g)*d:(row+g+1)*d], alpha(row+g))
		}
	})
}

// statistic is where a row's element of a [batch, heads, t] tensor stands.
func (t *attentionTile) statistic(row int) int {
	return (t.b*t.Heads+t.head*t.group+row%t.group)*t.T + t.lo + row/t.group
}

// keys calls f for every block [j, j+n) of keys of which the tile may see some.
func (t *attentionTile) keys(f func(j, n int, all bool)) {
	for j := 0; j < t.S; j += tileKeys {
		if n, all := t.overlap(j, min(tileKeys, t.S-j)); n > 0 {
			f(j, n, all)
		}
	}
}

// overlap is how many of the keys [j, j+n) are left without those at the end that
// nobody in the tile sees, and whether everybody sees all of them.
func (t *attentionTile) overlap(j, n int) (int, bool) {
	keys := t.keyExtent(t.b, j, j+n)
	if t.nobodySees(t.seenBy, keys) {
		return 0, false
	}
	if t.everybodySees(t.seenBy, keys) {
		return n, true
	}
	for n > 0 && t.keyPosition(t.b, j+n-1) > t.seenBy.lastPos {
		n--
	}
	return n, false
}

// key is where key j stands in a [batch, s, kvHeads, dim] tensor.
func (t *attentionTile) key(j int) int {
	return ((t.b*t.S+j)*t.KVHeads + t.head) * t.HeadDim
}

// timesKeys: dst [rows, n] = x [rows, dim] times the transposed keys [j, j+n) of k.
func (t *attentionTile) timesKeys(dst, x []float32, k tensor.Arg, j, n int) {
	t.s.gemm.Sgemm(false, true, t.rows, n, t.HeadDim, x, t.HeadDim, matrix(k, t.key(j), t.KVHeads*t.HeadDim), dst, n,
		false)
}

// addKeys: dst [rows, dim] += weights [rows, n] times the rows [j, j+n) of k.
func (t *attentionTile) addKeys(dst, weights []float32, k tensor.Arg, j, n int) {
	t.s.gemm.Sgemm(false, false, t.rows, t.HeadDim, n, weights, n, matrix(k, t.key(j), t.KVHeads*t.HeadDim), dst,
		t.HeadDim, true)
}

// score sets scores to q·k, -Inf where a key is not seen.
func (t *attentionTile) score(k tensor.Arg, j, n int, all bool) {
	t.timesKeys(t.scores, t.q, k, j, n)
	if all {
		return
	}
	for r := range t.rows {
		t.hide(t.scores[r*n:(r+1)*n], t.b, t.lo+r/t.group, j)
	}
}

// tiledAttention keeps, for every row, the maximum of the scores met so far, and sums
// that are rescaled when it grows.
func tiledAttention(w *work, k kernels.Attention, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	y, q, key, value := a[0], a[2], a[3], a[4]
	var lse []float32
	if !a[1].IsNil() {
		lse = f32s(a[1])
	}
	tilesOf(k, a[5:9]).queryTiles(w, func(t *attentionTile) {
		highest, sum := t.s.take(t.rows), t.s.take(t.rows)
		for r := range highest {
			highest[r], sum[r] = negInf, 0
		}
		t.gather(t.q, q, k.Scale)
		t.keys(func(j, n int, all bool) {
			t.score(key, j, n, all)
			for r := range t.rows {
				row := t.scores[r*n : (r+1)*n]
				m := max(highest[r], vec.Max(row))
				if m == negInf {
					clear(row)
					continue
				}
				if m != highest[r] {
					shrink := float32(math.Exp(float64(highest[r] - m)))
					sum[r] *= shrink
					out := t.out[r*k.HeadDim : (r+1)*k.HeadDim]
					vec.Scale(out, out, shrink)
					highest[r] = m
				}
				sum[r] += float32(vec.ExpSub(row, row, m))
			}
			t.addKeys(t.out, t.scores, value, j, n)
		})
		t.scatter(y, t.out, func(r int) float32 {
			if sum[r] == 0 {
				return 0
			}
			return 1 / sum[r]
		})
		if lse == nil {
			return
		}
		for r := range t.rows {
			lse[t.statistic(r)] = highest[r] + float32(math.Log(float64(sum[r])))
		}
	})
	return true
}

// probabilities turns the scores into exp(score - lse), and dscores, which holds dy·v,
// into their gradient.
func (t *attentionTile) probabilities(n int) {
	for r := range t.rows {
		p, ds := t.scores[r*n:(r+1)*n], t.dscores[r*n:(r+1)*n]
		if t.lse[r] == negInf { // sees nothing
			clear(p)
			clear(ds)
			continue
		}
		vec.ExpSubScale(p, p, t.lse[r], 1)
		vec.SubMul(ds, ds, p, t.delta[r])
	}
}

func tiledAttentionGradQ(w *work, k kernels.AttentionGradQ, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	dq, delta, dy, y, lse, q, key, value := a[0], f32s(a[1]), a[2], a[3], f32s(a[4]), a[5], a[6], a[7]
	tilesOf(kernels.Attention(k), a[8:12]).queryTiles(w, func(t *attentionTile) {
		t.takeGrad()
		t.gather(t.dy, dy, 1)
		t.gather(t.q, y, 1) // for delta only
		for r := range t.rows {
			at, d := t.statistic(r), k.HeadDim
			t.delta[r] = float32(vec.Dot(t.dy[r*d:(r+1)*d], t.q[r*d:(r+1)*d]))
			t.lse[r], delta[at] = lse[at], t.delta[r]
		}
		t.gather(t.q, q, k.Scale)
		t.keys(func(j, n int, all bool) {
			t.score(key, j, n, all)
			t.timesKeys(t.dscores, t.dy, value, j, n)
			t.probabilities(n)
			t.addKeys(t.out, t.dscores, key, j, n)
		})
		t.scatter(dq, t.out, func(int) float32 { return k.Scale })
	})
	return true
}

func tiledAttentionGradKV(w *work, k kernels.AttentionGradKV, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	dk, dv, dy, lse, delta, q, key, value := a[0], a[1], a[2], f32s(a[3]), f32s(a[4]), a[5], a[6], a[7]
	tiles, d := tilesOf(kernels.Attention(k), a[8:12]), k.HeadDim
	blocks := (k.S + tileKeys - 1) / tileKeys
	w.tasks(blocks*k.Batch*k.KVHeads, 1, func(s *scratch, task, _ int) {
		block, rest := task/(k.Batch*k.KVHeads), task%(k.Batch*k.KVHeads)
		t := &attentionTile{attentionTiles: tiles, s: s, b: rest / k.KVHeads, head: rest % k.KVHeads}
		t.take()
		t.takeGrad()
		j, all := block*tileKeys, min(tileKeys, k.S-block*tileKeys)
		sumK, sumV := s.take(all*d), s.take(all*d)
		clear(sumK)
		clear(sumV)
		for lo := 0; lo < k.T; lo += t.queries {
			t.move(lo)
			n, everybody := t.overlap(j, all)
			if n == 0 {
				continue
			}
			t.gather(t.q, q, k.Scale) // with which dk is scaled too
			t.gather(t.dy, dy, 1)
			for r := range t.rows {
				t.lse[r], t.delta[r] = lse[t.statistic(r)], delta[t.statistic(r)]
			}
			t.score(key, j, n, everybody)
			t.timesKeys(t.dscores, t.dy, value, j, n)
			t.probabilities(n)
			s.gemm.Sgemm(true, false, n, d, t.rows, t.scores, n, gemm.F32(t.dy, d), sumV, d, true)
			s.gemm.Sgemm(true, false, n, d, t.rows, t.dscores, n, gemm.F32(t.q, d), sumK, d, true)
		}
		for i := range all {
			at := t.key(j + i)
			copy(s.store(dk, at, at+d), sumK[i*d:])
			copy(s.store(dv, at, at+d), sumV[i*d:])
		}
	})
	return true
}
