package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() {
	plain(maxPool[float32], maxPool[float64])
	plain(maxPoolGrad[float32], maxPoolGrad[float64])
	plain(avgPool[float32], avgPool[float64])
	plain(avgPoolGrad[float32], avgPoolGrad[float64])
}

// window calls f with the elements of a plane that position i's window sees, i counted over all planes.
func window(k kernels.MaxPool, i int, f func(plane, place int)) {
	o, p, plane := i%k.OutWidth, i/k.OutWidth%k.OutHeight, i/(k.OutWidth*k.OutHeight)
	for h := max(0, p*k.StrideH-k.PadH); h < min(k.Height, p*k.StrideH-k.PadH+k.KernelH); h++ {
		for v := max(0, o*k.StrideW-k.PadW); v < min(k.Width, o*k.StrideW-k.PadW+k.KernelW); v++ {
			f(plane, h*k.Width+v)
		}
	}
}

// maxPool: y = the first largest of what the window sees, and its place; a NaN is larger than any
// number.
func maxPool[F float](w *work, k kernels.MaxPool, a args[F]) {
	y, index, x := a.f[0], a.i[1], a.f[2]
	w.team.Rows(len(y), max(1, grain/(k.KernelH*k.KernelW)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			best, at := F(0), -1
			window(k, i, func(plane, place int) {
				v := x[plane*k.Height*k.Width+place]
				if at < 0 || best == best && (v > best || v != v) {
					best, at = v, place
				}
			})
			y[i] = best
			if index != nil {
				index[i] = int32(at)
			}
		}
	})
}

// maxPoolGrad: dx = Σ dy over the positions whose index it is, in their order. A task owns planes.
func maxPoolGrad[F float](w *work, k kernels.MaxPoolGrad, a args[F]) {
	dx, dy, index := a.f[0], a.f[1], a.i[2]
	in, out := k.Height*k.Width, k.OutHeight*k.OutWidth
	w.team.Rows(k.Planes, max(1, grain/in), func(lo, hi int) {
		clear(dx[lo*in : hi*in])
		for i := lo * out; i < hi*out; i++ {
			dx[i/out*in+int(index[i])] += dy[i]
		}
	})
}

// avgPool: y = Σ of what the window sees / its size.
func avgPool[F float](w *work, k kernels.AvgPool, a args[F]) {
	y, x := a.f[0], a.f[1]
	w.team.Rows(len(y), max(1, grain/(k.KernelH*k.KernelW)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s := F(0)
			window(kernels.MaxPool(k), i, func(plane, place int) { s += x[plane*k.Height*k.Width+place] })
			y[i] = s / F(k.KernelH*k.KernelW)
		}
	})
}

// avgPoolGrad: dx = Σ dy / the window's size over the positions whose window sees it, in their
// order. A task owns planes.
func avgPoolGrad[F float](w *work, k kernels.AvgPoolGrad, a args[F]) {
	dx, dy := a.f[0], a.f[1]
	in, out := k.Height*k.Width, k.OutHeight*k.OutWidth
	w.team.Rows(k.Planes, max(1, grain/in), func(lo, hi int) {
		clear(dx[lo*in : hi*in])
		for i := lo * out; i < hi*out; i++ {
			window(kernels.MaxPool(k), i, func(plane, place int) { dx[plane*in+place] += dy[i] })
		}
		for i := lo * in; i < hi*in; i++ {
			dx[i] /= F(k.KernelH * k.KernelW)
		}
	})
}
