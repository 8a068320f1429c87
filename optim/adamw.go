package optim

import (
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/kernels"
)

// AdamW is Adam with decoupled weight decay, as torch.optim.AdamW computes it:
// Loshchilov and Hutter, 1711.05101.
type AdamW struct {
	Betas       [2]float32 // decay of the first and the second moment
	Eps         float32    // added to the root of the second
	WeightDecay float32
}

// DefaultAdamW has PyTorch's defaults.
func DefaultAdamW() AdamW {
	return AdamW{Betas: [2]float32{0.9, 0.999}, Eps: 1e-8, WeightDecay: 0.01}
}

func (a AdamW) check() error {
	for i, b := range a.Betas {
		if !(b >= 0 && b < 1) {
			return fmt.Errorf("optim: AdamW: field Betas[%d]: want at least 0 and below 1, got %g", i, b)
		}
	}
	// Without Eps a parameter whose gradient is always 0 (padding has none other) would
	// become 0/0.
	if !(a.Eps > 0) || math.IsInf(float64(a.Eps), 0) {
		return fmt.Errorf("optim: AdamW: field Eps: want a positive number, got %g", a.Eps)
	}
	return checkDecay("AdamW", a.WeightDecay)
}

func checkDecay(rule string, d float32) error {
	if !(d >= 0) || math.IsInf(float64(d), 0) {
		return fmt.Errorf("optim: %s: field WeightDecay: want at least 0, got %g", rule, d)
	}
	return nil
}

func (a AdamW) weightDecay() float32 { return a.WeightDecay }

func (AdamW) moments() []string { return []string{"exp_avg", "exp_avg_sq"} }

func (a AdamW) update(s step) {
	s.value.Device().Run(kernels.AdamW{
		N: s.n, LR: s.lr, Beta1: a.Betas[0], Beta2: a.Betas[1], Eps: a.Eps, WeightDecay: s.weightDecay,
		Correction1: correction(a.Betas[0], s.t), Correction2: correction(a.Betas[1], s.t),
	}, s.value, s.moments[0], s.moments[1], s.mirror, s.grad, s.clip)
}

// correction is 1 - beta^t, of the very float32 that the kernel mixes with: from the
// decimal 0.999 the first v̂ would be off by 1.3e-5.
func correction(beta float32, t int) float32 {
	return float32(1 - math.Pow(float64(beta), float64(t)))
}
