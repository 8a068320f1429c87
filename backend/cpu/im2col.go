package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() {
	plain(im2col[float32], im2col[float64])
	plain(col2im[float32], col2im[float64])
}

// im2col: cols[(image, p, o), (c, a, b)] = x[image, first+c, p stride - pad + a step, o stride - pad + b step],
// 0 outside the image.
func im2col[F float](w *work, k kernels.Im2Col, a args[F]) {
	cols, x := a.f[0], a.f[1]
	row := k.Count * k.KernelH * k.KernelW
	w.team.Rows(k.N, max(1, grain/row), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			image, p, o := r/(k.OutHeight*k.OutWidth), r/k.OutWidth%k.OutHeight, r%k.OutWidth
			at := r * row
			for c := range k.Count {
				plane := x[(image*k.Channels+k.First+c)*k.Height*k.Width:]
				for i := range k.KernelH {
					h := p*k.StrideH - k.PadH + i*k.StepH
					for j := range k.KernelW {
						cols[at] = 0
						if v := o*k.StrideW - k.PadW + j*k.StepW; h >= 0 && h < k.Height && v >= 0 && v < k.Width {
							cols[at] = plane[h*k.Width+v]
						}
						at++
					}
				}
			}
		}
	})
}

// col2im: x[image, first+c, h, w] = Σ of what im2col takes from there, in the order of the window.
func col2im[F float](w *work, k kernels.Col2Im, a args[F]) {
	x, cols := a.f[0], a.f[1]
	row := k.Count * k.KernelH * k.KernelW
	w.team.Rows(k.N, max(1, grain/(k.KernelH*k.KernelW)), func(lo, hi int) {
		for e := lo; e < hi; e++ {
			v, h, c := e%k.Width, e/k.Width%k.Height, e/(k.Width*k.Height)%k.Count
			image := e / (k.Width * k.Height * k.Count)
			s := F(0)
			for i := range k.KernelH {
				p, ok := position(h+k.PadH-i*k.StepH, k.StrideH, k.OutHeight)
				if !ok {
					continue
				}
				for j := range k.KernelW {
					if o, ok := position(v+k.PadW-j*k.StepW, k.StrideW, k.OutWidth); ok {
						r := (image*k.OutHeight+p)*k.OutWidth + o
						s += cols[r*row+(c*k.KernelH+i)*k.KernelW+j]
					}
				}
			}
			x[((image*k.Channels+k.First+c)*k.Height+h)*k.Width+v] = s
		}
	})
}

// position is which of n windows begins at an element, if one does.
func position(begin, stride, n int) (int, bool) {
	return begin / stride, begin >= 0 && begin%stride == 0 && begin/stride < n
}
