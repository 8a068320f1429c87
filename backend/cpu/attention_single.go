package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// singleKeys is how many keys a task of singleAttention takes.
const singleKeys = 32

// singleAttention is attention of one query a sequence, which is what generating consists of. All heads take
// a block of keys together, so that the cache is read in the order in which it lies, once; blocks are tasks, and
// are joined in their order (Dao et al., "Flash-Decoding", 2023).
func singleAttention(w *work, k kernels.Attention, a []tensor.Arg) {
	blocks := (k.S + singleKeys - 1) / singleKeys
	width := k.Heads * k.HeadDim
	parts := make([]singlePart, k.Batch*blocks)
	memory := w.shared.take(len(parts) * (width + 2*k.Heads))
	for i := range parts {
		of := memory[i*(width+2*k.Heads):]
		parts[i] = singlePart{sums: of[:k.Heads], highest: of[k.Heads : 2*k.Heads], out: of[2*k.Heads : 2*k.Heads+width]}
	}
	sees := seeing(k, slices[float32](a[5:9]).i)
	w.tasks(len(parts), 1, func(s *scratch, task, _ int) {
		b, lo := task/blocks, task%blocks*singleKeys
		parts[task].attend(s, k, &sees, a, b, lo, min(lo+singleKeys, k.S))
	})
	w.tasks(k.Batch, 1, func(s *scratch, b, _ int) {
		lse := []float32(nil)
		if !a[1].IsNil() {
			lse = f32s(a[1])[b*k.Heads:]
		}
		join(s.store(a[0], b*width, (b+1)*width), lse, parts[b*blocks:(b+1)*blocks], k.HeadDim)
	})
	w.shared.flush()
}

// A singlePart is what one query's heads get of one block of keys: of each the highest score, the sum of
// exp(score - highest), and the sum of values so weighted. No key is seen where the highest is -Inf.
type singlePart struct {
	highest, sums []float32 // [heads]
	out           []float32 // [heads, dim]
}

// attend takes keys [lo, hi) of sequence b.
func (p *singlePart) attend(s *scratch, k kernels.Attention, sees *visibility, a []tensor.Arg, b, lo, hi int) {
	n := hi - lo
	mask := s.take(n)
	clear(mask)
	var few [4]keyRun
	sees.seer(b, 0).hide(mask, sees.runs(few[:], b, lo, n))
	scores := s.take(k.Heads * n)
	setAll(scores, negInf)
	width, cache := k.Heads*k.HeadDim, k.KVHeads*k.HeadDim
	q := s.load(a[2], b*width, (b+1)*width)
	shape := vec.HeadShape{Heads: k.KVHeads, Group: k.Heads / k.KVHeads, Dim: k.HeadDim}
	at := (b*k.S + lo) * cache
	eachRun(mask, func(from, to int) {
		shape.Rows = to - from
		dotHeads(s, scores[from:], n, q, a[3], at+from*cache, at+to*cache, shape)
		for h := range k.Heads {
			scaleScores(scores[h*n+from:h*n+to], k)
		}
	})
	for h := range k.Heads {
		row := scores[h*n : (h+1)*n]
		p.highest[h], p.sums[h] = vec.Max(row), 0
		if p.highest[h] != negInf {
			p.sums[h] = float32(vec.ExpSub(row, row, p.highest[h]))
		}
	}
	clear(p.out)
	eachRun(mask, func(from, to int) {
		shape.Rows = to - from
		addHeads(s, scores[from:], n, p.out, a[4], at+from*cache, at+to*cache, shape)
	})
}

// dotHeads is vec.DotHeads of elements [lo, hi) of k, which in 16 bits are widened in registers where there is a routine.
func dotHeads(s *scratch, weights []float32, apart int, q []float32, k tensor.Arg, lo, hi int, shape vec.HeadShape) {
	switch {
	case k.DType == tensor.F16 && vec.DotHeadsF16(weights, apart, q, elements[uint16](k)[lo:hi], shape):
	case k.DType == tensor.BF16 && vec.DotHeadsBF16(weights, apart, q, elements[uint16](k)[lo:hi], shape):
	default:
		vec.DotHeads(weights, apart, q, s.load(k, lo, hi), shape)
	}
}

// addHeads is the same of vec.AddHeads.
func addHeads(s *scratch, weights []float32, apart int, y []float32, v tensor.Arg, lo, hi int, shape vec.HeadShape) {
	switch {
	case v.DType == tensor.F16 && vec.AddHeadsF16(weights, apart, y, elements[uint16](v)[lo:hi], shape):
	case v.DType == tensor.BF16 && vec.AddHeadsBF16(weights, apart, y, elements[uint16](v)[lo:hi], shape):
	default:
		vec.AddHeads(weights, apart, y, s.load(v, lo, hi), shape)
	}
}

// scaleScores makes scores of products: times the scale, under the soft cap if there is one.
func scaleScores(scores []float32, k kernels.Attention) {
	vec.Scale(scores, scores, k.Scale)
	capScores(scores, k.SoftCap)
}

// eachRun calls f with the bounds of every run of keys that the mask does not hide.
func eachRun(mask []float32, f func(from, to int)) {
	for from := 0; from < len(mask); from++ {
		to := from
		for to < len(mask) && mask[to] == 0 {
			to++
		}
		if to > from {
			f(from, to)
		}
		from = to
	}
}

// join puts the parts of one sequence together: y [heads, dim] and, unless nil, lse [heads].
func join(y, lse []float32, parts []singlePart, dim int) {
	clear(y)
	for h := range len(y) / dim {
		highest, sum := negInf, float32(0)
		for _, p := range parts {
			highest = max(highest, p.highest[h])
		}
		out := y[h*dim : (h+1)*dim]
		for _, p := range parts {
			if p.highest[h] == negInf {
				continue
			}
			shrink := float32(math.Exp(float64(p.highest[h] - highest)))
			sum += shrink * p.sums[h]
			vec.Axpy(out, p.out[h*dim:(h+1)*dim], shrink)
		}
		if sum != 0 {
			vec.Scale(out, out, 1/sum)
		}
		if lse != nil {
			lse[h] = highest + float32(math.Log(float64(sum)))
		}
	}
}
