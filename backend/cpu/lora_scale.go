package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(loraScale[float32], loraScale[float64])
	plain(loraScaleGrad[float32], loraScaleGrad[float64])
	fast(vectorLoRAScale)
	fast(vectorLoRAScaleGrad)
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

// loraFactors is alpha s for each column, row after row of some, where all rows have the same; nil where each has its own. It is
// of the kernel's scratch memory.
func (w *work) loraFactors(k kernels.LoRAScale, s []float32) []float32 {
	if k.PerOutput {
		return nil
	}
	factors := w.shared.take(max(1, min(k.Out, block/2/k.Rank)) * k.Rank)
	for j := range k.Rank {
		factors[j] = k.Alpha * s[loraModule(k, 0, j)]
	}
	for done := k.Rank; done < len(factors); done *= 2 {
		copy(factors[done:], factors[:done])
	}
	return factors
}

// scaleRows sets y to x times the factors of its rows.
func scaleRows(y, x, factors []float32) {
	for n := 0; len(y) > 0; y, x = y[n:], x[n:] {
		n = min(len(y), len(factors))
		vec.Mul(y[:n], x[:n], factors[:n])
	}
}

func vectorLoRAScale(w *work, k kernels.LoRAScale, a []tensor.Arg) bool {
	if !allF32(a) {
		return false
	}
	bs, b, s := f32s(a[0]), f32s(a[1]), f32s(a[2])
	factors, rank := w.loraFactors(k, s), k.Rank/k.Modules
	defer w.shared.flush()
	w.team.Rows(k.Out, max(1, grain/k.Rank), func(from, to int) {
		if factors != nil {
			scaleRows(bs[from*k.Rank:to*k.Rank], b[from*k.Rank:to*k.Rank], factors)
			return
		}
		for o := from; o < to; o++ {
			for j := 0; j < k.Rank; j += rank {
				at := o*k.Rank + j
				vec.Scale(bs[at:at+rank], b[at:at+rank], k.Alpha*s[loraModule(k, o, j)])
			}
		}
	})
	return true
}

// loraSumRows is how many rows' part of a scalar's gradient is summed at a time.
const loraSumRows = 64

func vectorLoRAScaleGrad(w *work, k kernels.LoRAScaleGrad, a []tensor.Arg) bool {
	if !allF32(a) {
		return false
	}
	var db, ds []float32
	if !a[0].IsNil() {
		db = f32s(a[0])
	}
	if !a[1].IsNil() {
		ds = f32s(a[1])
	}
	dbs, b, s := f32s(a[2]), f32s(a[3]), f32s(a[4])
	shape := kernels.LoRAScale{Out: k.Out, Rank: k.Rank, Modules: k.Modules, PerOutput: k.PerOutput, Alpha: k.Alpha}
	add := func(at int, sum float64) {
		g := float32(float64(k.Alpha) * sum)
		if k.Acc {
			g += ds[at]
		}
		ds[at] = g
	}
	factors, rank := w.loraFactors(shape, s), k.Rank/k.Modules
	defer w.shared.flush()
	chunks := (k.Out + loraSumRows - 1) / loraSumRows
	sums := make([]float64, chunks*k.Modules) // of each chunk, where one s is a module's
	w.team.Run(chunks, func(_, chunk int) {
		from, to := chunk*loraSumRows, min((chunk+1)*loraSumRows, k.Out)
		together := factors != nil && db != nil && !k.Acc
		if together {
			scaleRows(db[from*k.Rank:to*k.Rank], dbs[from*k.Rank:to*k.Rank], factors)
		}
		for o := from; o < to; o++ {
			for module := range k.Modules {
				lo, scaling := o*k.Rank+module*rank, loraModule(shape, o, module*rank)
				hi := lo + rank
				switch {
				case db == nil || together:
				case k.Acc:
					vec.Axpy(db[lo:hi], dbs[lo:hi], k.Alpha*s[scaling])
				default:
					vec.Scale(db[lo:hi], dbs[lo:hi], k.Alpha*s[scaling])
				}
				switch {
				case ds == nil:
				case k.PerOutput:
					add(scaling, vec.Dot(dbs[lo:hi], b[lo:hi]))
				default:
					sums[chunk*k.Modules+module] += vec.Dot(dbs[lo:hi], b[lo:hi])
				}
			}
		}
	})
	if ds == nil || k.PerOutput {
		return true
	}
	for module := range k.Modules {
		sum := 0.0
		for chunk := range chunks {
			sum += sums[chunk*k.Modules+module]
		}
		add(module, sum)
	}
	return true
}
