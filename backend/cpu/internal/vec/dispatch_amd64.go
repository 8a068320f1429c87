//go:build !noasm

package vec

import (
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
	"github.com/agora-ml/agora/internal/quant"
)

// useAVX2 is constant after start; tests switch it.
var useAVX2 = cpulevel.Chosen() >= cpulevel.AVX2

// Implementation names the routines in use.
func Implementation() string {
	if useAVX2 {
		return cpulevel.AVX2.String()
	}
	return "go"
}

func fromBlocks(t quant.Type, dst []float32, src []byte) {
	if !useAVX2 || len(dst) == 0 {
		t.Decode(dst, src)
		return
	}
	for len(dst) > piece {
		fromBlocks(t, dst[:piece], src[:t.Bytes(piece)])
		dst, src = dst[piece:], src[t.Bytes(piece):]
	}
	blockDecoders[t](unsafe.SliceData(dst), unsafe.SliceData(src), len(dst)/t.Len())
}
