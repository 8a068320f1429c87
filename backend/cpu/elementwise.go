package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(add[float32], add[float64])
	plain(sub[float32], sub[float64])
	plain(mul[float32], mul[float64])
	plain(div[float32], div[float64])
	plain(scale[float32], scale[float64])
	plain(fill[float32], fill[float64])
	fast(vectorAdd)
	fast(func(w *work, k kernels.Sub, a []tensor.Arg) bool { return vectorEach(w, k.N, k.M, a, vec.Sub) })
	fast(func(w *work, k kernels.Mul, a []tensor.Arg) bool { return vectorEach(w, k.N, k.M, a, vec.Mul) })
	fast(func(w *work, k kernels.Div, a []tensor.Arg) bool { return vectorEach(w, k.N, k.M, a, vec.Div) })
	fast(vectorScale)
	fast(vectorFill)
}

// add: y[i] = a[i] + b[i mod m].
func add[F float](w *work, k kernels.Add, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x + y })
}

// sub: y[i] = a[i] - b[i mod m].
func sub[F float](w *work, k kernels.Sub, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x - y })
}

// mul: y[i] = a[i] * b[i mod m].
func mul[F float](w *work, k kernels.Mul, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x * y })
}

// div: y[i] = a[i] / b[i mod m].
func div[F float](w *work, k kernels.Div, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x / y })
}

// each: y[i] = f(a[i], b[i mod m]).
func each[F float](w *work, n, m int, a args[F], f func(x, y F) F) {
	y, x, b := a.f[0], a.f[1], a.f[2]
	w.team.Rows(n, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = f(x[i], b[i%m])
		}
	})
}

// scale: y = alpha x + beta.
func scale[F float](w *work, k kernels.Scale, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = F(k.Alpha)*x[i] + F(k.Beta)
		}
	})
}

// fill: y = value.
func fill[F float](w *work, k kernels.Fill, a args[F]) {
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a.f[0][i] = F(k.Value)
		}
	})
}

func vectorAdd(w *work, k kernels.Add, a []tensor.Arg) bool {
	if x := asHalves(k.N, a...); x != nil && k.M == k.N {
		w.tasks(k.N, grain, func(_ *scratch, lo, hi int) { vec.AddNarrow(x.Half, x.at(0, lo, hi), x.at(1, lo, hi), x.at(2, lo, hi)) })
		return true
	}
	return vectorEach(w, k.N, k.M, a, vec.Add)
}

// vectorEach is each with a vector routine.
func vectorEach(w *work, n, m int, a []tensor.Arg, f func(dst, a, b []float32)) bool {
	if !atMost32Bits(a) {
		return false
	}
	y, x, b := a[0], a[1], a[2]
	var repeated []float32 // a short b as often as a block needs it
	if m < n && m < block {
		repeated = w.shared.take((block/m+1)*m + m)
		w.shared.loadInto(repeated[:m], b, 0)
		for i := m; i < len(repeated); i += m {
			copy(repeated[i:], repeated[:m])
		}
		defer w.shared.flush()
	}
	w.blocks(n, func(s *scratch, lo, hi int) {
		if from := lo % m; repeated != nil {
			f(s.store(y, lo, hi), s.load(x, lo, hi), repeated[from:from+hi-lo])
			return
		}
		for lo < hi {
			from := lo % m
			end := min(hi, lo+m-from)
			f(s.store(y, lo, end), s.load(x, lo, end), s.load(b, from, from+end-lo))
			lo = end
		}
	})
	return true
}

func vectorScale(w *work, k kernels.Scale, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) {
		vec.Affine(s.store(a[0], lo, hi), s.load(a[1], lo, hi), k.Alpha, k.Beta)
	})
	return true
}

func vectorFill(w *work, k kernels.Fill, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	w.blocks(k.N, func(s *scratch, lo, hi int) { fillWith(s.store(a[0], lo, hi), k.Value) })
	return true
}

// fillWith doubles what is filled already.
func fillWith(y []float32, v float32) {
	y[0] = v
	for done := 1; done < len(y); done *= 2 {
		copy(y[done:], y[:done])
	}
}
