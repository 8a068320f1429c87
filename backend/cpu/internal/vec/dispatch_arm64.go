//go:build !noasm

package vec

import (
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
	"github.com/agora-ml/agora/internal/quant"
)

// useNEON is constant after start; tests switch it.
var useNEON = cpulevel.Chosen() >= cpulevel.NEON

// Implementation names the routines in use.
func Implementation() string {
	if useNEON {
		return cpulevel.NEON.String()
	}
	return "go"
}

func dotHeads(weights []float32, apart int, q, k []float32, s HeadShape) {
	if !useNEON || s.Dim%16 != 0 {
		dotHeadsGo(weights, apart, q, k, s)
		return
	}
	dotHeadsNEON(unsafe.SliceData(weights), apart, unsafe.SliceData(q), unsafe.SliceData(k), s.Rows, s.Heads, s.Group, s.Dim)
}

func addHeads(weights []float32, apart int, y, v []float32, s HeadShape) {
	if !useNEON || s.Dim%16 != 0 {
		addHeadsGo(weights, apart, y, v, s)
		return
	}
	addHeadsNEON(unsafe.SliceData(weights), apart, unsafe.SliceData(y), unsafe.SliceData(v), s.Rows, s.Heads, s.Group, s.Dim)
}

func fromBlocks(t quant.Type, dst []float32, src []byte) {
	if !useNEON || len(dst) == 0 {
		t.Decode(dst, src)
		return
	}
	for len(dst) > piece {
		fromBlocks(t, dst[:piece], src[:t.Bytes(piece)])
		dst, src = dst[piece:], src[t.Bytes(piece):]
	}
	blockDecoders[t](unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)/t.Len())
}
