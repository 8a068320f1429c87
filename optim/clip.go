package optim

import (
	"math"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// sumBlock is the elements whose squares are added up by one worker. It is part of the
// result: another size would round the norm differently.
const sumBlock = 1 << 16

// parts is the number of partial sums of the block's gradients.
func (b *block) parts() int { return (b.n + sumBlock - 1) / sumBlock }

// ClipByNorm makes the next Step see all gradients times min(1, maxNorm / (norm + 1e-6)),
// where norm is the Euclidean norm of all of them together; 0 only measures. Where the
// norm is NaN or infinite, the next Step moves nothing. Norm and factor stay on the
// device.
func (t *Trainable) ClipByNorm(maxNorm float32) { t.ClipScaledByNorm(maxNorm, 1) }

// ClipScaledByNorm is ClipByNorm for gradients that are scale times what they should be:
// norm and the next Step see them divided by it, without rounding if it is a power of two.
func (t *Trainable) ClipScaledByNorm(maxNorm, scale float32) {
	if !(maxNorm >= 0) || math.IsInf(float64(maxNorm), 0) {
		tensor.Panicf("clip_by_norm", "maximum %g: want at least 0", maxNorm)
	}
	if !(scale > 0) || math.IsInf(float64(scale), 0) {
		tensor.Panicf("clip_by_norm", "scale %g: want a positive number", scale)
	}
	t.settle()
	at := 0
	for _, b := range t.blocks {
		if from, to := part(b.sumEnds, t.division.Rank); from < to {
			t.dev.Run(kernels.SumSquares{N: b.to - b.from, Block: sumBlock}, t.partial.View(at+from, to-from), b.own(b.grad))
		}
		t.division.share(t.partial.View(at, b.parts()), b.sumEnds)
		at += b.parts()
	}
	if scale != 1 {
		t.dev.Run(kernels.Scale{N: at, Alpha: 1 / (scale * scale)}, t.partial, t.partial)
	}
	t.dev.Run(kernels.ClipFactor{N: at, MaxNorm: maxNorm}, t.factor, t.norm, t.partial)
	if scale != 1 {
		t.dev.Run(kernels.Scale{N: 1, Alpha: 1 / scale}, t.factor, t.factor)
	}
	t.clip = t.factor
}

// Norm is where ClipByNorm leaves the norm that it has found, before clipping: one f32
// number on the device, 0 before the first.
func (t *Trainable) Norm() *tensor.Tensor { return t.norm }

// GradNorm waits for the device and reads Norm.
func (t *Trainable) GradNorm() (float64, error) {
	norm, err := t.norm.Float64s()
	if err != nil {
		return 0, err
	}
	return norm[0], nil
}
