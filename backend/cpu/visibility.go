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

func (v *visibility) keyExtent(b, lo, hi int) extent {
	return extentOf(v.kPos, v.kSeg, b*v.s, lo, hi, 0)
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

// upTo is how many of the keys [j, j+n) are left without those at the end whose positions are beyond query i's.
func (v *visibility) upTo(b, i, j, n int) int {
	p := v.queryPosition(b, i)
	if v.kPos == nil {
		return max(0, min(p+1-j, n))
	}
	for n > 0 && v.keyPosition(b, j+n-1) > p {
		n--
	}
	return n
}

// hidesAmong reports whether a query may not see some of the keys that upTo leaves.
func (v *visibility) hidesAmong() bool { return v.kPos != nil || v.kSeg != nil || v.window != 0 }

// hide sets the scores of query i and keys from j on to -Inf where it does not see
// the key.
func (v *visibility) hide(scores []float32, b, i, j int) {
	if v.kSeg != nil {
		segment := v.qSeg[b*v.t+i]
		for n, s := range v.kSeg[b*v.s+j:][:len(scores)] {
			if s != segment || s < 0 {
				scores[n] = negInf
			}
		}
	}
	if v.kPos != nil {
		last := v.queryPosition(b, i)
		first := math.MinInt
		if v.window != 0 {
			first = last - v.window + 1
		}
		for n, p := range v.kPos[b*v.s+j:][:len(scores)] {
			if int(p) > last || int(p) < first {
				scores[n] = negInf
			}
		}
		return
	}
	v.hideInOrder(scores, b, i, j)
}

// hideInOrder is hide by position alone where key j is at position j.
func (v *visibility) hideInOrder(scores []float32, b, i, j int) {
	p := v.queryPosition(b, i)
	from, to := 0, max(0, min(p+1-j, len(scores)))
	if v.window != 0 {
		from = max(0, min(p+1-v.window-j, to))
	}
	setAll(scores[:from], negInf)
	setAll(scores[to:], negInf)
}

func setAll(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
