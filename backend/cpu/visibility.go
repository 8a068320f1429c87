package cpu

import (
	"iter"
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

// visibility says which keys a query of attention sees.
type visibility struct {
	t, s, window           int
	qPos, kPos, qSeg, kSeg []int32 // [batch, t] and [batch, s], nil as in the kernel's header
}

// seeing takes the last four arguments of the attention kernels.
func seeing(k kernels.Attention, indices [][]int32) visibility {
	return visibility{k.T, k.S, k.Window, indices[0], indices[1], indices[2], indices[3]}
}

func (v *visibility) queryPosition(b, i int) int {
	if v.qPos == nil {
		return i + v.s - v.t
	}
	return int(v.qPos[b*v.t+i])
}

func (v *visibility) keyPosition(b, j int) int {
	if v.kPos == nil {
		return j
	}
	return int(v.kPos[b*v.s+j])
}

// sees reports whether query i of sequence b sees key j.
func (v *visibility) sees(b, i, j int) bool {
	distance := v.queryPosition(b, i) - v.keyPosition(b, j)
	if distance < 0 || v.window != 0 && distance >= v.window {
		return false
	}
	if v.qSeg == nil {
		return true
	}
	segment := v.kSeg[b*v.s+j]
	return segment >= 0 && segment == v.qSeg[b*v.t+i]
}

// seen are the keys that query i of sequence b sees, in order.
func (v *visibility) seen(b, i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for j := range v.s {
			if v.sees(b, i, j) && !yield(j) {
				return
			}
		}
	}
}

// extent bounds the positions and segments of some queries or keys.
type extent struct {
	firstPos, lastPos, firstSeg, lastSeg int
}

func (v *visibility) queryExtent(b, lo, hi int) extent {
	return extentOf(v.qPos, v.qSeg, b*v.t, lo, hi, v.s-v.t)
}

// extentOf is the extent of elements [lo, hi) of the sequence that begins at from;
// without positions, element i is at i + shift.
func extentOf(pos, seg []int32, from, lo, hi, shift int) (e extent) {
	e.firstPos, e.lastPos = lo+shift, hi-1+shift
	if pos != nil {
		e.firstPos, e.lastPos = bounds(pos[from+lo : from+hi])
	}
	if seg != nil {
		e.firstSeg, e.lastSeg = bounds(seg[from+lo : from+hi])
	}
	return e
}

func bounds(x []int32) (least, most int) {
	first, last := x[0], x[0]
	for _, v := range x {
		first, last = min(first, v), max(last, v)
	}
	return int(first), int(last)
}

// nobodySees reports whether certainly no query sees any of the keys.
func (v *visibility) nobodySees(q, k extent) bool {
	return k.firstPos > q.lastPos || v.window != 0 && q.firstPos-k.lastPos >= v.window ||
		k.lastSeg < 0 || k.lastSeg < q.firstSeg || k.firstSeg > q.lastSeg
}

// everybodySees reports whether certainly every query sees all of the keys.
func (v *visibility) everybodySees(q, k extent) bool {
	return k.lastPos <= q.firstPos && (v.window == 0 || q.lastPos-k.firstPos < v.window) &&
		k.firstSeg >= 0 && k.firstSeg == k.lastSeg && q.firstSeg == q.lastSeg && k.firstSeg == q.firstSeg
}

var negInf = float32(math.Inf(-1))

// A keyRun is keys that follow each other: of one segment, each a position behind the one before. lo and hi count from the first
// of some keys; pos is the position of key lo. Packed rows have a run for every example, a cache and rows that are padded have few.
type keyRun struct {
	lo, hi, pos int
	seg         int32 // 0 where there are no segments
}

// runs cuts keys [j, j+n) of sequence b into runs, in memory that is given.
func (v *visibility) runs(memory []keyRun, b, j, n int) []keyRun {
	runs := memory[:0]
	if v.kPos == nil && v.kSeg == nil {
		return append(runs, keyRun{0, n, j, 0})
	}
	for lo := 0; lo < n; {
		r := keyRun{lo: lo, hi: n, pos: v.keyPosition(b, j+lo)}
		if v.kPos != nil {
			r.hi = lo + 1
			for next := r.pos + 1; r.hi < n && int(v.kPos[b*v.s+j+r.hi]) == next; next++ {
				r.hi++
			}
		}
		if v.kSeg != nil {
			segments := v.kSeg[b*v.s+j:]
			r.seg = segments[lo]
			for i, s := range segments[lo+1 : r.hi] {
				if s != r.seg {
					r.hi = lo + 1 + i
					break
				}
			}
		}
		runs, lo = append(runs, r), r.hi
	}
	return runs
}

// extentOfRuns is the extent of the keys of some runs.
func extentOfRuns(runs []keyRun) extent {
	e := extent{math.MaxInt, math.MinInt, math.MaxInt, math.MinInt}
	for _, r := range runs {
		e.firstPos, e.lastPos = min(e.firstPos, r.pos), max(e.lastPos, r.pos+r.hi-r.lo-1)
		e.firstSeg, e.lastSeg = min(e.firstSeg, int(r.seg)), max(e.lastSeg, int(r.seg))
	}
	return e
}

// A seer is what decides which keys a query sees.
type seer struct {
	pos, window int
	seg         int32 // 0 where there are no segments
}

func (v *visibility) seer(b, i int) seer {
	q := seer{pos: v.queryPosition(b, i), window: v.window}
	if v.qSeg != nil {
		q.seg = v.qSeg[b*v.t+i]
	}
	return q
}

// of is the keys [lo, hi) of a run that the query sees, which are neighbors.
func (q seer) of(r keyRun) (lo, hi int) {
	if r.seg != q.seg || r.seg < 0 {
		return r.lo, r.lo
	}
	distance := q.pos - r.pos
	lo, hi = r.lo, max(r.lo, min(r.lo+distance+1, r.hi))
	if q.window != 0 {
		lo = max(lo, min(r.lo+distance+1-q.window, hi))
	}
	return lo, hi
}

// upTo is how many of the first n keys of some runs are left without those at the end that the query does not see.
func (q seer) upTo(runs []keyRun, n int) int {
	for i := len(runs) - 1; i >= 0; i-- {
		r := runs[i]
		r.hi = min(r.hi, n)
		if lo, hi := q.of(r); lo < hi {
			return hi
		}
	}
	return 0
}

// hide sets the scores of the first keys of some runs to -Inf where the query does not see the key.
func (q seer) hide(scores []float32, runs []keyRun) {
	for _, r := range runs {
		if r.hi = min(r.hi, len(scores)); r.hi <= r.lo {
			break
		}
		lo, hi := q.of(r)
		setAll(scores[r.lo:lo], negInf)
		setAll(scores[hi:r.hi], negInf)
	}
}

func setAll(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
