package vec

import "github.com/agora-ml/agora/internal/quant"

// FromQ8 widens GGML's Q8_0 blocks: 34 bytes for every 32 of dst.
func FromQ8(dst []float32, src []byte) {
	same("FromQ8", len(dst)/quant.Len*quant.Q8Bytes, len(src))
	same("FromQ8, in whole blocks", len(dst)/quant.Len*quant.Len, len(dst))
	fromQ8(dst, src)
}

func fromQ8Go(dst []float32, src []byte) { quant.DecodeQ8(dst, src) }

// FromQ4 widens GGML's Q4_0 blocks: 18 bytes for every 32 of dst.
func FromQ4(dst []float32, src []byte) {
	same("FromQ4", len(dst)/quant.Len*quant.Q4Bytes, len(src))
	same("FromQ4, in whole blocks", len(dst)/quant.Len*quant.Len, len(dst))
	fromQ4(dst, src)
}

func fromQ4Go(dst []float32, src []byte) { quant.DecodeQ4(dst, src) }
