package cpu

import (
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
	tileRows      = 84  // about: queries × heads of a group, whole tiles of six and of AVX-512's fourteen; twice as many in long sequences
	shortTileRows = 48  // the same where a sequence would be a tile or two
	halfTileRows  = 64  // tileRows of bfloat16
	tileKeys      = 256 // keys
	tilePad       = 16  // numbers between rows of scores: a column's would push each other out of the level-1 cache
	halfTileKeys  = 128
)

func init() {
	fast(tiledAttention)
}

// attentionTiles cuts one attention by its shape.
type attentionTiles struct {
	kernels.Attention
	visibility
	group   int        // heads that share a key head
	queries int        // of a tile
	block   int        // keys of a tile
	apart   int        // from row to row of its scores
	skip    int        // keys before those that a tile sees are left out by so many; a block: never
	pairs   bool       // tiles are those of attention_bf16.go
	keyRuns [][]keyRun // of every block of every sequence
}

func newTiles(k kernels.Attention, halves bool) *attentionTiles {
	rows, keys, apart, skip, pairs := tileRows, tileKeys, tileKeys+tilePad, gemm.Whole, false
	switch {
	case halves && inPairs():
		halves, pairs = false, true
	case halves:
		rows, keys, apart, skip = halfTileRows, halfTileKeys, halfTileKeys, halfTileKeys
	}
	group := k.Heads / max(1, k.KVHeads)
	switch {
	case k.T >= 16*rows:
		rows *= 2
	case !halves && k.T*group <= 2*shortTileRows:
		rows = shortTileRows
	}
	a := &attentionTiles{Attention: k, group: group, block: keys, apart: apart, skip: skip, pairs: pairs}
	a.cut(rows)
	return a
}

// cut makes tiles of about so many rows.
func (a *attentionTiles) cut(rows int) { a.queries = max(1, rows/max(1, a.group)) }

// seeing takes the last four arguments of the attention kernels.
func (a *attentionTiles) seeing(indices []tensor.Arg) *attentionTiles {
	a.visibility = seeing(a.Attention, slices[float32](indices).i)
	for b := range a.Batch {
		for j := 0; j < a.S; j += a.block {
			a.keyRuns = append(a.keyRuns, a.runs(nil, b, j, min(a.block, a.S-j)))
		}
	}
	return a
}

// A tile is a block of queries of one sequence and key head, and what it works on.
type attentionTile struct {
	*attentionTiles
	s          *scratch
	b, head    int // sequence and key head
	lo, hi     int // queries
	seenBy     extent
	rows       int
	q, dy, out []float32 // [rows, dim]
	room       []float32 // of scores, [rows, apart]
	before     int       // numbers of its rows before those of the keys: grouped
	scores     []float32 // [rows, apart], block of them used
	dscores    []float32 // of the gradients
	capped     []float32 // scores under the soft cap, which gradients keep
	seenRuns   []keyRun  // of the present keys
	clipped    []keyRun  // memory for them
	seen       []int     // of the present keys, those that a row sees, and perhaps not all of them: none behind
	lse, delta []float32 // [rows]
	packed     packedKeys
}

// queryTiles calls f for every block of queries of n key heads from first on: head by head, whose packed keys then stay in
// a level-2 cache, and those that see the most first. Workers take heads of their own if there are many; of a few, that would
// leave one of them with most of the work.
func (a *attentionTiles) queryTiles(w *work, first, n int, f func(t *attentionTile)) {
	blocks := (a.T + a.queries - 1) / a.queries
	one := func(s *scratch, task int) {
		block, head := blocks-1-task%blocks, first+task/blocks
		t := a.tile(s, head)
		t.move(block * a.queries)
		f(t)
	}
	if n >= 4*w.team.Threads() {
		w.ranges(n*blocks, one)
		return
	}
	w.tasks(n*blocks, 1, func(s *scratch, task, _ int) { one(s, task) })
}

// tile is one of a key head, counted over all sequences, without queries as yet.
func (a *attentionTiles) tile(s *scratch, head int) *attentionTile {
	return &attentionTile{attentionTiles: a, s: s, b: head / a.KVHeads, head: head % a.KVHeads, seen: make([]int, 0, a.most())}
}

// most is the rows of the largest tile.
func (a *attentionTiles) most() int { return min(a.queries, a.T) * a.group }

// take reserves what every tile of float32 needs.
func (t *attentionTile) take() {
	rows := t.most()
	t.q, t.out = t.s.take(rows*t.HeadDim+gemm.Whole), t.s.take(rows*t.HeadDim)
	t.room, t.lse = t.s.take(rows*t.apart), t.s.take(rows)
	t.scores, t.before = t.room, 0
}

// grouped has the rows of scores of the keys from j on begin so far behind their block's first that sums of exponentials add the
// same groups of them, whichever the first is that the tile sees: tilePad at most, as j in a block is a multiple of skip.
func (t *attentionTile) grouped(j int) {
	t.before = j % t.block % vec.ExpGroup
	t.scores = t.room[t.before:]
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
		f(t.query(i), (i-t.lo)*t.group)
	}
}

// query is where the elements of query i begin in a [batch, t, heads, dim] tensor.
func (t *attentionTile) query(i int) int {
	return ((t.b*t.T+i)*t.Heads + t.head*t.group) * t.HeadDim
}

// fetch asks for the tile's rows of a [batch, t, heads, dim] tensor, which begin where no hardware expects them. What is
// written later it asks for while there is arithmetic to do.
func (t *attentionTile) fetch(x tensor.Arg) {
	fetch(x, t.query(t.lo), t.hi-t.lo, t.group*t.HeadDim, t.Heads*t.HeadDim)
}

// fetch asks for rows of n elements, apart from each other, from one on.
func fetch(x tensor.Arg, first, rows, n, apart int) {
	size := x.DType.Bytes(1)
	vec.Fetch(x.Buf.(*buffer).data[x.Offset+first*size:], rows, n*size, apart*size)
}

// gather copies the tile's rows of a [batch, t, heads, dim] tensor.
func (t *attentionTile) gather(dst []float32, x tensor.Arg) {
	t.fetch(x)
	n := t.group * t.HeadDim
	if x.DType == tensor.F32 {
		src := f32s(x)
		t.eachQuery(func(at, row int) { copy(dst[row*t.HeadDim:][:n], src[at:]) })
		return
	}
	src, widen := elements[uint16](x), widening(x.DType)
	t.eachQuery(func(at, row int) { widen(dst[row*t.HeadDim:][:n], src[at:at+n]) })
}

// queryRows is the tile's rows of a [batch, t, heads, dim] tensor, and how far they begin apart: where they lie, if products read
// them as fast there, else copies in dst.
func (t *attentionTile) queryRows(dst []float32, x tensor.Arg) (rows []float32, apart int) {
	apart = t.Heads * t.HeadDim
	if x.DType != tensor.F32 || t.group > 1 || gemm.InOneSet(apart) {
		t.gather(dst, x)
		return dst, t.HeadDim
	}
	t.fetch(x)
	return f32s(x)[t.query(t.lo):], apart
}

// scatter is the inverse of gather, with a factor for every row, of rows that begin width apart.
func (t *attentionTile) scatter(y tensor.Arg, src []float32, width int, alpha []float32) {
	d := t.HeadDim
	if t.group == 1 {
		storeRows(y, t.query(t.lo), t.Heads*d, src, width, d, alpha[:t.rows])
		return
	}
	t.eachQuery(func(at, row int) { storeRows(y, at, d, src[row*width:], width, d, alpha[row:row+t.group]) })
}

// storeRows writes multiples of n numbers of rows that begin width apart to rows of y apart elements from each other, from one on.
func storeRows(y tensor.Arg, first, apart int, src []float32, width, n int, alpha []float32) {
	switch y.DType {
	case tensor.F32:
		vec.ScaleRows(f32s(y)[first:], apart, src, width, n, alpha)
	case tensor.F16:
		vec.ScaleRowsTo(vec.F16, elements[uint16](y)[first:], apart, src, width, n, alpha)
	default:
		vec.ScaleRowsTo(vec.BF16, elements[uint16](y)[first:], apart, src, width, n, alpha)
	}
}

// eachStatistic calls f with the tile's rows and where their elements of a [batch, heads, t] tensor stand.
func (t *attentionTile) eachStatistic(f func(row, at int)) {
	for g := range t.group {
		at := (t.b*t.Heads+t.head*t.group+g)*t.T + t.lo
		for row := g; row < t.rows; row += t.group {
			f(row, at)
			at++
		}
	}
}

// keys calls f for the keys [j, j+n) of every block of which the tile may see some.
func (t *attentionTile) keys(f func(j, n int, all bool)) {
	for j := 0; j < t.S; j += t.block {
		if lo, hi, all := t.overlap(j); lo < hi {
			f(j+lo, hi-lo, all)
		}
	}
}

// overlap is the keys [lo, hi) of the block that begins with key j that are left without those at its ends that nobody in the
// tile sees, and whether everybody sees all of them.
func (t *attentionTile) overlap(j int) (lo, hi int, all bool) {
	t.seenRuns = t.keyRuns[t.b*t.blocks()+j/t.block]
	if t.everybodySees(t.seenBy, extentOfRuns(t.seenRuns)) {
		return 0, min(t.block, t.S-j), true
	}
	unseen := func(i int) bool { return t.nobodySees(t.seenBy, extentOfRuns(t.seenRuns[i:i+1])) }
	first, last := 0, len(t.seenRuns)-1
	for ; last >= 0 && unseen(last); last-- {
	}
	if last < 0 {
		return 0, 0, false
	}
	for unseen(first) {
		first++
	}
	// Not a panel at a time: a cache's room may hold anything, and what is no number stays none times 0.
	r := t.seenRuns[last]
	hi = min(r.hi, r.lo+t.seenBy.lastPos-r.pos+1)
	r = t.seenRuns[first]
	if lo = r.lo; t.window != 0 {
		lo = max(lo, r.lo+t.seenBy.firstPos-t.window+1-r.pos)
	}
	lo -= lo % t.skip
	t.seenRuns = t.clip(lo)
	return lo, hi, false
}

// clip is the runs without the first keys.
func (t *attentionTile) clip(keys int) []keyRun {
	if keys == 0 {
		return t.seenRuns
	}
	t.clipped = t.clipped[:0]
	for _, r := range t.seenRuns {
		if r.hi > keys {
			lo := max(r.lo, keys)
			t.clipped = append(t.clipped, keyRun{lo - keys, r.hi - keys, r.pos + lo - r.lo, r.seg})
		}
	}
	return t.clipped
}

// key is where key j stands in a [batch, s, kvHeads, dim] tensor.
func (t *attentionTile) key(j int) int {
	return ((t.b*t.S+j)*t.KVHeads + t.head) * t.HeadDim
}

// fetchKeys is fetch for n keys from j on of a [batch, s, kvHeads, dim] tensor.
func (t *attentionTile) fetchKeys(x tensor.Arg, j, n int) {
	fetch(x, t.key(j), n, t.HeadDim, t.KVHeads*t.HeadDim)
}

// timesKeys: dst [rows, seen of n] = alpha x [rows, dim], rows that begin lda apart, times the transposed keys [j, j+n) of k, which
// may be packed.
func (t *attentionTile) timesKeys(dst []float32, alpha float32, x []float32, lda int, k tensor.Arg, packed *gemm.Packed, j, n int) {
	d := t.HeadDim
	if packed != nil {
		t.s.gemm.TimesColumns(t.seen, d, alpha, x, lda, packed, j%t.block, dst, t.apart)
		return
	}
	t.s.gemm.SgemmAlpha(false, true, t.rows, n, d, alpha, x, lda, t.keysOf(k, j), dst, t.apart, false)
}

// addKeys: dst [rows, dim] += weights [rows, n], zero where a key is not seen, times the rows [j, j+n) of k, which may be packed.
func (t *attentionTile) addKeys(dst, weights []float32, k tensor.Arg, packed *gemm.Packed, j, n int) {
	d := t.HeadDim
	if packed != nil {
		t.s.gemm.TimesSteps(t.seen, d, weights, t.apart, packed, j%t.block, dst, d)
		return
	}
	t.s.gemm.Sgemm(false, false, t.rows, d, n, weights, t.apart, t.keysOf(k, j), dst, d, true)
}

// addRows: dst [n, dim] += weights [rows, n], zero where a key is not seen, transposed, times the tile's rows x.
func (t *attentionTile) addRows(dst, weights, x []float32, n int) {
	d := t.HeadDim
	if t.packed != nil {
		t.s.gemm.TimesRows(t.seen, d, weights, t.apart, x, d, dst, d)
		return
	}
	t.s.gemm.Sgemm(true, false, n, d, t.rows, weights, t.apart, gemm.F32(x, d), dst, d, true)
}

// keysOf is the tile's head of keys from j on.
func (t *attentionTile) keysOf(k tensor.Arg, j int) gemm.Matrix {
	return matrix(k, t.key(j), t.KVHeads*t.HeadDim)
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

// see finds what the rows see of the n keys that overlap has left, whether all of them or not.
func (t *attentionTile) see(n int, all bool) {
	t.seen = t.seen[:t.rows]
	if all {
		for r := range t.seen {
			t.seen[r] = n
		}
		return
	}
	for i, row := t.lo, 0; i < t.hi; i++ {
		sees := t.seer(t.b, i).upTo(t.seenRuns, n)
		for range t.group {
			t.seen[row] = sees
			row++
		}
	}
}

// mask makes scores of a tile's products with the n keys of see: times scale, under the soft cap if there is one, -Inf where
// a key is not seen, unless all are; zero behind what is seen. It is a loop of its own: what is stored a number at a time is
// not yet to be had for the vectors of another.
func (t *attentionTile) mask(scale float32, n int, all bool) {
	vec.ClearRows(t.scores, t.apart, t.seen, n)
	t.maskSeen(scale, all)
}

// maskSeen is mask but for the zeros.
func (t *attentionTile) maskSeen(scale float32, all bool) {
	among := !all && (len(t.seenRuns) > 1 || t.window != 0) // else what is seen has no gaps
	if scale == 1 && t.SoftCap == 0 && !among {
		return
	}
	for r, seen := range t.seen {
		row := t.scores[r*t.apart:][:seen]
		if scale != 1 {
			vec.Scale(row, row, scale)
		}
		capScores(row, t.SoftCap)
		if among {
			t.seer(t.b, t.lo+r/t.group).hide(row, t.seenRuns)
		}
	}
}

// A runningSoftmax keeps, for every row of a tile, the maximum of the scores met so far, and the sum of exp(score -
// maximum), which is rescaled when that grows.
type runningSoftmax struct {
	highest, sum, shrink, next []float32
	begun                      bool // there were scores
}

func (t *attentionTile) beginSoftmax() runningSoftmax {
	m := runningSoftmax{highest: t.s.take(t.rows), sum: t.s.take(t.rows), shrink: t.s.take(t.rows), next: t.s.take(t.rows)}
	setAll(m.highest, negInf)
	clear(m.sum)
	return m
}

// weigh turns the scores that the tile's rows see into exp(score - maximum), and rescales out, the rows' sums of values so
// far, which begin width apart.
func (m *runningSoftmax) weigh(t *attentionTile, out []float32, width int) {
	if !m.begun {
		t.weighScores(m.highest, m.sum)
		m.begun = true
		return
	}
	copy(m.shrink, m.highest)
	t.weighScores(m.highest, m.next)
	for r, highest := range m.highest {
		if m.shrink[r] == highest { // perhaps -Inf
			m.shrink[r] = 0
		} else {
			m.shrink[r] -= highest
		}
	}
	vec.Exp(m.shrink, m.shrink)
	for r, by := range m.shrink {
		if by != 1 && m.sum[r] != 0 {
			row := out[r*width:][:t.HeadDim]
			vec.Scale(row, row, by)
		}
		m.sum[r] = m.sum[r]*by + m.next[r]
	}
}

// weighScores is vec.WeighRows of the scores that the rows see, and of what comes before them: grouped.
func (t *attentionTile) weighScores(highest, sums []float32) {
	if t.before == 0 {
		t.weighSeen(t.scores, highest, sums)
		return
	}
	for r := range t.seen {
		for i := range t.before {
			t.room[r*t.apart+i] = negInf
		}
		t.seen[r] += t.before
	}
	t.weighSeen(t.room, highest, sums)
	for r := range t.seen {
		t.seen[r] -= t.before
	}
}

func (t *attentionTile) weighSeen(scores, highest, sums []float32) {
	if t.pairs {
		vec.WeighRowsBF16(scores, t.apart, t.seen, t.seenMost(), highest, sums)
		return
	}
	vec.WeighRows(scores, t.apart, t.seen, highest, sums)
}

// seenMost is the keys that some row sees, or one more: products of pairs want zeros up to an even number of them.
func (t *attentionTile) seenMost() (n int) {
	for _, seen := range t.seen {
		n = max(n, seen)
	}
	return (n + 1) &^ 1
}

// store writes the tile's rows of y, sums of values in rows that begin width apart, and of lse unless that is nil.
func (m *runningSoftmax) store(t *attentionTile, y tensor.Arg, lse, out []float32, width int) {
	by := m.shrink
	for r, sum := range m.sum {
		if by[r] = 0; sum != 0 {
			by[r] = 1 / sum
		}
	}
	t.scatter(y, out, width, by)
	if lse == nil {
		return
	}
	vec.Log(m.sum, m.sum)
	t.eachStatistic(func(r, at int) { lse[at] = m.highest[r] + m.sum[r] })
}

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
	halves := inHalves(k, q, key, value)
	tiles := newTiles(k, halves).seeing(a[5:9])
	if tiles.pairs {
		tiles.pairAttention(w, y, lse, q, key, value)
		return true
	}
	if halves {
		tiles.halfAttention(w, y, lse, q, key, value)
		return true
	}
	tiles.wideTiles(w, forWideForward, key, value, func(t *attentionTile) {
		t.take()
		softmax, d := t.beginSoftmax(), k.HeadDim
		clear(t.out)
		rows, apart := t.queryRows(t.q, q)
		t.fetch(y)
		t.keys(func(j, n int, all bool) {
			keysT, values := t.packedAt(j)
			t.see(n, all)
			t.grouped(j)
			t.timesKeys(t.scores, t.Scale, rows, apart, key, keysT, j, n)
			t.mask(1, n, all)
			softmax.weigh(t, t.out, d)
			t.addKeys(t.out, t.scores, value, values, j, n)
		})
		softmax.store(t, y, lse, t.out, d)
	})
	return true
}
