package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() { plain(loraMirrorGrad[float32], loraMirrorGrad[float64]) }

// loraMirrorGrad: db += scale s dbs, ds += scale Σ dbs b over what each s scales, a module after the other.
func loraMirrorGrad[F float](w *work, k kernels.LoRAMirrorGrad, a args[F]) {
	db, ds, dbs, b, s, scales := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4], a.f[5]
	w.team.Rows(k.Count, 1, func(lo, hi int) {
		for m := lo; m < hi; m++ {
			p := a.i[6][7*m : 7*m+7]
			at, from, rank, columns, out, scaling := int(p[0]+p[3]), int(p[1]+p[3]), int(p[2]), int(p[4]), int(p[5]), int(p[6])
			sum := 0.0 // of up to out * columns products: more than float32 adds up well
			for o := range out {
				place := scaling
				if k.PerOutput {
					place += o
				}
				by := scales[m]
				if s != nil {
					by *= s[place]
				}
				for c := o * rank; c < o*rank+columns; c++ {
					if db != nil {
						db[from+c] += by * dbs[at+c]
					}
					sum += float64(dbs[at+c]) * float64(b[from+c])
				}
				if ds != nil && (k.PerOutput || o == out-1) {
					ds[place] += F(float64(scales[m]) * sum)
					sum = 0
				}
			}
		}
	})
}
