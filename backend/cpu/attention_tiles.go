package cpu

import (
	"math"
	"unsafe"

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
}

// attentionTiles cuts one attention by its shape.
type attentionTiles struct {
	kernels.Attention
	visibility
	group   int  // heads that share a key head
	queries int  // of a tile
	half    bool // products take bfloat16 as it is, and round weights to it, as PyTorch's do
}

func tilesOf(k kernels.Attention, indices []tensor.Arg, operands ...tensor.Arg) *attentionTiles {
	group := k.Heads / max(1, k.KVHeads)
	rows := min(max(fewestRows, k.T/8), mostRows)
	a := &attentionTiles{k, seeing(k, slices[float32](indices).i), group, max(1, rows/max(1, group)), gemm.HasBF16()}
	for _, x := range operands {
		a.half = a.half && x.DType == tensor.BF16
	}
	return a
}

// tileRows are rows [rows, dim] of a tile in float32, or in bfloat16 as they were stored.
type tileRows struct {
	wide []float32
	half []uint16
}

// A tile is a block of queries of one sequence and key head, and what it works on.
type attentionTile struct {
	*attentionTiles
	s           *scratch
	b, head     int // sequence and key head
	lo, hi      int // queries
	seenBy      extent
	rows        int
	q, dy       tileRows
	wide        []float32 // [rows, dim]: rows that a product does not take in bfloat16
	out, scores []float32 // [rows, dim], [rows, tileKeys]
	dscores     []float32 // of the gradients
	lse, delta  []float32 // [rows]
}

// queryTiles calls f for every block of queries, those that see the most first.
func (a *attentionTiles) queryTiles(w *work, f func(t *attentionTile)) {
	blocks := (a.T + a.queries - 1) / a.queries
	w.tasks(a.Batch*a.KVHeads*blocks, 1, func(s *scratch, task, _ int) {
		block, rest := blocks-1-task/(a.Batch*a.KVHeads), task%(a.Batch*a.KVHeads)
		t := &attentionTile{attentionTiles: a, s: s, b: rest / a.KVHeads, head: rest % a.KVHeads}
		t.take()
		t.out = s.take(len(t.wide))
		clear(t.out)
		t.move(block * a.queries)
		f(t)
	})
}

// take reserves what every tile needs.
func (t *attentionTile) take() {
	rows := min(t.queries, t.T) * t.group
	t.q, t.wide = t.takeRows(rows), t.s.take(rows*t.HeadDim)
	t.scores, t.lse = t.s.take(rows*tileKeys), t.s.take(rows)
}

func (t *attentionTile) takeRows(rows int) tileRows {
	if !t.half {
		return tileRows{wide: t.s.take(rows * t.HeadDim)}
	}
	memory := t.s.take((rows*t.HeadDim + 1) / 2)
	return tileRows{half: unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(memory))), rows*t.HeadDim)}
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

// gather copies the tile's rows of a [batch, t, heads, dim] tensor.
func (t *attentionTile) gather(dst tileRows, x tensor.Arg) {
	n := t.group * t.HeadDim
	if t.half {
		src := elements[uint16](x)
		t.eachQuery(func(at, row int) { copy(dst.half[row*t.HeadDim:][:n], src[at:]) })
		return
	}
	t.widen(dst.wide, x)
}

// widen is gather to float32.
func (t *attentionTile) widen(dst []float32, x tensor.Arg) {
	n := t.group * t.HeadDim
	if x.DType == tensor.F32 {
		src := f32s(x)
		t.eachQuery(func(at, row int) { copy(dst[row*t.HeadDim:][:n], src[at:]) })
		return
	}
	t.eachQuery(func(at, row int) { t.s.loadInto(dst[row*t.HeadDim:][:n], x, at) })
}

// inF32 is the tile's rows widened.
func (t *attentionTile) inF32(x tileRows) []float32 {
	if !t.half {
		return x.wide
	}
	n := t.rows * t.HeadDim
	vec.FromBF16(t.wide[:n], x.half[:n])
	return t.wide
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

// timesKeys: dst [rows, n] = alpha x [rows, dim] times the transposed keys [j, j+n) of k.
func (t *attentionTile) timesKeys(dst []float32, alpha float32, x tileRows, k tensor.Arg, j, n int) {
	d, keys := t.HeadDim, matrix(k, t.key(j), t.KVHeads*t.HeadDim)
	if t.half && t.s.gemm.Bgemm(false, true, t.rows, n, d, alpha, gemm.BF16(x.half, d), keys, gemm.F32(dst, n), false) {
		return
	}
	t.s.gemm.SgemmAlpha(false, true, t.rows, n, d, alpha, t.inF32(x), d, keys, dst, n, false)
}

// addKeys: dst [rows, dim] += weights [rows, n] times the rows [j, j+n) of k.
func (t *attentionTile) addKeys(dst, weights []float32, k tensor.Arg, j, n int) {
	d, keys := t.HeadDim, matrix(k, t.key(j), t.KVHeads*t.HeadDim)
	if t.half && t.s.gemm.Bgemm(false, false, t.rows, d, n, 1, gemm.F32(weights, n), keys, gemm.F32(dst, d), true) {
		return
	}
	t.s.gemm.Sgemm(false, false, t.rows, d, n, weights, n, keys, dst, d, true)
}

// addRows: dst [n, dim] += weights [rows, n], transposed, times the tile's rows x.
func (t *attentionTile) addRows(dst, weights []float32, x tileRows, n int) {
	d := t.HeadDim
	if t.half &&
		t.s.gemm.Bgemm(true, false, n, d, t.rows, 1, gemm.F32(weights, n), gemm.BF16(x.half, d), gemm.F32(dst, d), true) {
		return
	}
	t.s.gemm.Sgemm(true, false, n, d, t.rows, weights, n, gemm.F32(t.inF32(x), d), dst, d, true)
}

// capScores puts scores under the soft cap, unless that is 0.
func capScores(scores []float32, softCap float32) {
	if softCap == 0 {
		return
	}
	vec.Scale(scores, scores, 1/softCap)
	vec.Tanh(scores, scores)
	vec.Scale(scores, scores, softCap)
}

// score sets scores to Scale q·k, under the soft cap if there is one, -Inf where a key is not seen.
func (t *attentionTile) score(k tensor.Arg, j, n int, all bool) {
	t.timesKeys(t.scores, t.Scale, t.q, k, j, n)
	capScores(t.scores[:t.rows*n], t.SoftCap)
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
	if k.T == 1 {
		singleAttention(w, k, a)
		return true
	}
	y, q, key, value := a[0], a[2], a[3], a[4]
	var lse []float32
	if !a[1].IsNil() {
		lse = f32s(a[1])
	}
	tilesOf(k, a[5:9], q, key, value).queryTiles(w, func(t *attentionTile) {
		highest, sum := t.s.take(t.rows), t.s.take(t.rows)
		for r := range highest {
			highest[r], sum[r] = negInf, 0
		}
		t.gather(t.q, q)
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
