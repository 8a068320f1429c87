package vec

import (
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// TestPageEnd: tensors are mapped memory, so reading past one may be fatal.
func TestPageEnd(t *testing.T) {
	const most = 40
	var x [8][]float32
	for k := range x {
		x[k] = pageend.Of[float32](t, most)
	}
	eachImplementation(t, func(t *testing.T) {
		for n := range most + 1 {
			var s [8][]float32
			for k := range s {
				s[k] = x[k][most-n:]
			}
			for _, c := range elementwises {
				c.run(s[:c.outs], s[4:4+c.ins])
			}
			Max(s[0])
			Sum(s[0])
			SumSquares(s[0])
			Dot(s[0], s[1])
			dot3(s[0], s[1], s[2])
			sumExpSub(s[0], 1)
			h := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(s[0]))), 2*n)[n:]
			FromBF16(s[1], h)
			FromF16(s[1], h)
			ToBF16(h, s[1])
			ToF16(h, s[1])
		}
	})
}
