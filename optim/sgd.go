package optim

import (
	"fmt"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// SGD is stochastic gradient descent as torch.optim.SGD computes it: weight decay is
// added to the gradient, and the velocity is momentum times itself plus the gradient.
type SGD struct {
	Momentum    float32 // 0: no velocity is kept
	WeightDecay float32
}

func (g SGD) check() error {
	if !(g.Momentum >= 0 && g.Momentum < 1) {
		return fmt.Errorf("optim: SGD: field Momentum: want at least 0 and below 1, got %g", g.Momentum)
	}
	return checkDecay("SGD", g.WeightDecay)
}

func (g SGD) weightDecay() float32 { return g.WeightDecay }

func (g SGD) moments() []string {
	if g.Momentum == 0 {
		return nil
	}
	return []string{"momentum_buffer"}
}

func (g SGD) update(s step) {
	var velocity *tensor.Tensor
	if g.Momentum != 0 {
		velocity = s.moments[0]
	}
	s.value.Device().Run(kernels.SGD{N: s.n, LR: s.lr, Momentum: g.Momentum, WeightDecay: s.weightDecay},
		s.value, velocity, s.grad, s.clip)
	fillMirror(s.mirror, s.value)
}
