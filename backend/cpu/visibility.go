package cpu

import (
	"iter"

	"github.com/agora-ml/agora/shaders"
)

// visibility says which keys a query of attention sees.
type visibility struct {
	t, s, window           int
	qPos, kPos, qSeg, kSeg []int32 // [batch, t] and [batch, s], nil as in the kernel's header
}

// seeing takes the last four arguments of the attention kernels.
func seeing(k shaders.Attention, indices [][]int32) visibility {
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
