package cpu

import "github.com/agora-ml/agora/internal/kernels"

func init() {
	plain(loraScale[float32], loraScale[float64])
	plain(loraScaleGrad[float32], loraScaleGrad[float64])
}

// loraScale: bs[o, j] = alpha s_i b[o, j] for the columns j of module i.
func loraScale[F float](w *work, k kernels.LoRAScale, a args[F]) {
	bs, b, s := a.f[0], a.f[1], a.f[2]
	w.team.Rows(k.Out, max(1, grain/k.Rank), func(lo, hi int) {
		for o := lo; o < hi; o++ {
			for j := range k.Rank {
				bs[o*k.Rank+j] = F(k.Alpha) * s[loraModule(k, o, j)] * b[o*k.Rank+j]
			}
		}
	})
}

// loraModule is the element of s for column j of row o.
func loraModule(k kernels.LoRAScale, o, j int) int {
	module := j / (k.Rank / k.Modules)
	if k.PerOutput {
		return module*k.Out + o
	}
	return module
}

// loraScaleGrad: db (+)= alpha s dbs, ds (+)= alpha Σ dbs b over what each s scales.
func loraScaleGrad[F float](w *work, k kernels.LoRAScaleGrad, a args[F]) {
	db, ds, dbs, b, s := a.f[0], a.f[1], a.f[2], a.f[3], a.f[4]
	if db != nil {
		at := kernels.LoRAScale{Out: k.Out, Rank: k.Rank, Modules: k.Modules, PerOutput: k.PerOutput}
		w.team.Rows(k.Out, max(1, grain/k.Rank), func(lo, hi int) {
			for o := lo; o < hi; o++ {
				for j := range k.Rank {
					g := F(k.Alpha) * s[loraModule(at, o, j)] * dbs[o*k.Rank+j]
					if k.Acc {
						g += db[o*k.Rank+j]
					}
					db[o*k.Rank+j] = g
				}
			}
		})
	}
	if ds == nil {
		return
	}
	rank, outs := k.Rank/k.Modules, k.Out // of a module; outputs that one s scales
	if k.PerOutput {
		outs = 1
	}
	w.team.Rows(len(ds), max(1, grain/(rank*outs)), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			module, first := n/(k.Out/outs), n%(k.Out/outs)
			sum := 0.0 // of up to out * rank products: more than float32 adds up well
			for o := first; o < first+outs; o++ {
				for j := module * rank; j < (module+1)*rank; j++ {
					sum += float64(dbs[o*k.Rank+j]) * float64(b[o*k.Rank+j])
				}
			}
			g := F(float64(k.Alpha) * sum)
			if k.Acc {
				g += ds[n]
			}
			ds[n] = g
		}
	})
}
