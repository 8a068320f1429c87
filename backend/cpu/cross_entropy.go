package cpu

import (
	"math"

	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(crossEntropy[float32], crossEntropy[float64])
	plain(crossEntropyGrad[float32], crossEntropyGrad[float64])
	fast(vectorCrossEntropy)
	fast(vectorCrossEntropyGrad)
}

// ignoredLabel marks a row that does not count.
const ignoredLabel = -100

// crossEntropy: lse = log Σ e^logits, loss = lse - logits[label], row by row; the
// loss is 0 for an ignored row, NaN for a label outside the vocabulary.
func crossEntropy[F float](w *work, k kernels.CrossEntropy, a args[F]) {
	loss, lse, logits, labels := a.f[0], a.f[1], a.f[2], a.i[3]
	w.team.Rows(k.Rows, max(1, grain/k.Vocab), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := logits[r*k.Vocab : (r+1)*k.Vocab]
			largest, total := largestOf(row), 0.0
			for _, v := range row {
				total += math.Exp(float64(v - largest))
			}
			sum := float64(largest) + math.Log(total)
			lse[r] = F(sum)
			switch label := int(labels[r]); {
			case label == ignoredLabel:
				loss[r] = 0
			case label < 0 || label >= k.Vocab:
				loss[r] = F(math.NaN())
			default:
				loss[r] = F(sum - float64(row[label]))
			}
		}
	})
}

// crossEntropyGrad: dlogits = (e^(logits - lse) - onehot(label)) scale dloss; 0 in an
// ignored row, NaN for a label outside the vocabulary.
func crossEntropyGrad[F float](w *work, k kernels.CrossEntropyGrad, a args[F]) {
	dlogits, logits, labels, lse, dloss := a.f[0], a.f[1], a.i[2], a.f[3], a.f[4]
	scale := F(k.Scale)
	if dloss != nil {
		scale *= dloss[0]
	}
	w.team.Rows(k.Rows, max(1, grain/k.Vocab), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			label, factor := int(labels[r]), scale
			if label != ignoredLabel && (label < 0 || label >= k.Vocab) {
				factor = F(math.NaN())
			}
			for j := range k.Vocab {
				i := r*k.Vocab + j
				switch p := F(math.Exp(float64(logits[i] - lse[r]))); {
				case label == ignoredLabel:
					dlogits[i] = 0
				case label == j:
					dlogits[i] = (p - 1) * factor
				default:
					dlogits[i] = p * factor
				}
			}
		}
	})
}

func vectorCrossEntropy(w *work, k kernels.CrossEntropy, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	loss, lse, labels := f32s(a[0]), f32s(a[1]), elements[int32](a[3])
	w.rows(k.Rows, k.Vocab, func(s *scratch, r, lo, hi int) {
		row := s.load(a[2], lo, hi)
		lse[r] = vec.LogSumExp(row)
		if math.IsInf(float64(lse[r]), 1) { // of infinite logits there are no probabilities
			lse[r] = float32(math.NaN())
		}
		switch label := int(labels[r]); {
		case label == ignoredLabel:
			loss[r] = 0
		case label < 0 || label >= k.Vocab:
			loss[r] = float32(math.NaN())
		default:
			loss[r] = lse[r] - row[label]
		}
	})
	return true
}

func vectorCrossEntropyGrad(w *work, k kernels.CrossEntropyGrad, a []tensor.Arg) bool {
	if !atMost32Bits(a) {
		return false
	}
	labels, lse, scale := elements[int32](a[2]), f32s(a[3]), k.Scale
	if !a[4].IsNil() {
		scale *= f32s(a[4])[0]
	}
	w.rows(k.Rows, k.Vocab, func(s *scratch, r, lo, hi int) {
		d := s.store(a[0], lo, hi)
		switch label := int(labels[r]); {
		case label == ignoredLabel:
			clear(d)
		case label < 0 || label >= k.Vocab:
			fillWith(d, float32(math.NaN()))
		default:
			vec.ExpSubScale(d, s.load(a[1], lo, hi), lse[r], scale)
			d[label] -= scale
		}
	})
	return true
}
