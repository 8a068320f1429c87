package cpu

import (
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// grain is how many elements of an elementwise kernel one task takes.
const grain = 1 << 14

// widen converts a float argument to f32.
func widen(w *work, dst []float32, src tensor.Arg) {
	switch src.DType {
	case tensor.F32:
		copy(dst, f32s(src))
	case tensor.F64:
		convert(w, dst, elements[float64](src), func(v float64) float32 { return float32(v) })
	case tensor.F16:
		convert(w, dst, elements[uint16](src), tensor.F16ToFloat32)
	case tensor.BF16:
		convert(w, dst, elements[uint16](src), tensor.BF16ToFloat32)
	}
}

// narrow rounds f32 numbers to a float argument, to nearest even.
func narrow(w *work, dst tensor.Arg, src []float32) {
	switch dst.DType {
	case tensor.F32:
		copy(f32s(dst), src)
	case tensor.F64:
		convert(w, elements[float64](dst), src, func(v float32) float64 { return float64(v) })
	case tensor.F16:
		convert(w, elements[uint16](dst), src, tensor.Float32ToF16)
	case tensor.BF16:
		convert(w, elements[uint16](dst), src, tensor.Float32ToBF16)
	}
}

func convert[D, S any](w *work, dst []D, src []S, f func(S) D) {
	w.team.Rows(len(dst), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dst[i] = f(src[i])
		}
	})
}

func init() { plainAnyType(cast) }

// cast: y = x, rounded to y's type (to 16 bits by way of f32).
func cast(w *work, k shaders.Cast, a []tensor.Arg) {
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
