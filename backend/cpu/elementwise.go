package cpu

import "github.com/agora-ml/agora/shaders"

func init() {
	plain(add[float32], add[float64])
	plain(sub[float32], sub[float64])
	plain(mul[float32], mul[float64])
	plain(div[float32], div[float64])
	plain(scale[float32], scale[float64])
	plain(fill[float32], fill[float64])
}

// add: y[i] = a[i] + b[i mod m].
func add[F float](w *work, k shaders.Add, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x + y })
}

// sub: y[i] = a[i] - b[i mod m].
func sub[F float](w *work, k shaders.Sub, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x - y })
}

// mul: y[i] = a[i] * b[i mod m].
func mul[F float](w *work, k shaders.Mul, a args[F]) {
	each(w, k.N, k.M, a, func(x, y F) F { return x * y })
}

// div: y[i] = a[i] / b[i mod m].
func div[F float](w *work, k shaders.Div, a args[F]) {
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
func scale[F float](w *work, k shaders.Scale, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = F(k.Alpha)*x[i] + F(k.Beta)
		}
	})
}

// fill: y = value.
func fill[F float](w *work, k shaders.Fill, a args[F]) {
	w.team.Rows(k.N, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a.f[0][i] = F(k.Value)
		}
	})
}
