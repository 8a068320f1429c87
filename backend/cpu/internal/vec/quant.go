package vec

import "github.com/agora-ml/agora/internal/quant"

// FromBlocks widens GGML's blocks of a kind: its Bytes for all of dst.
func FromBlocks(t quant.Type, dst []float32, src []byte) {
	same("FromBlocks", t.Bytes(len(dst)), len(src))
	same("FromBlocks, in whole blocks", len(dst)/t.Len()*t.Len(), len(dst))
	fromBlocks(t, dst, src)
}
