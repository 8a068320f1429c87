package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/tensor"
)

// grain is how many elements of an elementwise kernel one task takes.
const grain = 1 << 14

// widen converts a float or quantized argument to f32.
func widen(w *work, dst []float32, src tensor.Arg) {
	switch src.DType {
	case tensor.F32:
		copy(dst, f32s(src))
	case tensor.F64:
		each1(w, dst, elements[float64](src), func(v float64) float32 { return float32(v) })
	case tensor.F16:
		convert(w, dst, elements[uint16](src), half.FromF16, vec.FromF16)
	case tensor.BF16:
		convert(w, dst, elements[uint16](src), half.FromBF16, vec.FromBF16)
	default:
		w.team.Rows(len(dst), grain, func(lo, hi int) {
			if w.plain {
				src.DType.Decode(dst[lo:hi], blocksOf(src, lo, hi))
			} else {
				decode(dst[lo:hi], src, lo)
			}
		})
	}
}

// blockType is the kind of a quantized type's blocks: both have one order.
func blockType(dt tensor.DType) quant.Type { return quant.Type(dt - tensor.Q8) }

// decode widens elements of a quantized argument from lo on, which begins a block.
func decode(dst []float32, x tensor.Arg, lo int) {
	vec.FromBlocks(blockType(x.DType), dst, blocksOf(x, lo, lo+len(dst)))
}

// narrow rounds f32 numbers to a float argument, to nearest even.
func narrow(w *work, dst tensor.Arg, src []float32) {
	switch dst.DType {
	case tensor.F32:
		copy(f32s(dst), src)
	case tensor.F64:
		each1(w, elements[float64](dst), src, func(v float32) float64 { return float64(v) })
	case tensor.F16:
		convert(w, elements[uint16](dst), src, half.ToF16, vec.ToF16)
	case tensor.BF16:
		convert(w, elements[uint16](dst), src, half.ToBF16, vec.ToBF16)
	}
}

// convert converts 16-bit numbers, one by one where only plain loops may run.
func convert[D, S any](w *work, dst []D, src []S, plain func(S) D, fast func([]D, []S)) {
	if w.plain {
		each1(w, dst, src, plain)
		return
	}
	w.team.Rows(len(dst), grain, func(lo, hi int) { fast(dst[lo:hi], src[lo:hi]) })
}

// each1: dst = f(src).
func each1[D, S any](w *work, dst []D, src []S, f func(S) D) {
	w.team.Rows(len(dst), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dst[i] = f(src[i])
		}
	})
}

func init() {
	plainAnyType(cast)
	fast(vectorCast)
}

// cast: y = x, rounded to y's type (to 16 bits by way of f32).
func cast(w *work, k kernels.Cast, a []tensor.Arg) {
	y, x := a[0], a[1]
	switch {
	case y.DType == tensor.F32:
		widen(w, f32s(y), x)
	case x.DType == tensor.F32:
		narrow(w, y, f32s(x))
	case x.DType == tensor.F64 && y.DType == tensor.F64:
		copy(elements[float64](y), elements[float64](x))
	default:
		f32 := make([]float32, k.N)
		widen(w, f32, x)
		narrow(w, y, f32)
	}
}

func vectorCast(w *work, k kernels.Cast, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) { s.loadInto(s.store(a[0], lo, hi), a[1], lo) })
	return true
}

// round16 rounds to f16 or bf16.
func round16(dt tensor.DType, dst []uint16, src []float32) {
	if dt == tensor.F16 {
		vec.ToF16(dst, src)
	} else {
		vec.ToBF16(dst, src)
	}
}
