package train

import (
	"fmt"
	"math"
)

// LossScale is the factor that gradients have on their way back through f16 activations,
// below whose smallest number, 2^-24, many would be 0 (Micikevicius et al., Mixed Precision
// Training, 1710.03740). It moves by the rule and with the constants of PyTorch's
// GradScaler. It is always a power of two, so that dividing by it rounds nothing.
type LossScale struct {
	Scale   float64 `json:"scale"`   // of the next step
	Good    int     `json:"good"`    // steps without overflow since it moved
	Skipped int     `json:"skipped"` // steps with overflow in all
}

const (
	firstLossScale = 1 << 16
	minLossScale   = 1
	maxLossScale   = 1 << 32 // its square and their inverses are f32 numbers far from the ends
	lossScaleSteps = 2000    // without overflow until the scale doubles
)

// NewLossScale begins with a power of two from 1 to 2^32.
func NewLossScale(first float64) (*LossScale, error) {
	l := &LossScale{Scale: first}
	return l, l.check()
}

func (l *LossScale) check() error {
	mantissa, _ := math.Frexp(l.Scale)
	switch {
	case mantissa != 0.5 || l.Scale < minLossScale || l.Scale > maxLossScale:
		return fmt.Errorf("want a power of two from %d to %d, got %v", minLossScale, maxLossScale, l.Scale)
	case l.Good < 0 || l.Good >= lossScaleSteps:
		return fmt.Errorf("field good: want 0 to %d, got %d", lossScaleSteps-1, l.Good)
	case l.Skipped < 0:
		return fmt.Errorf("field skipped: want at least 0, got %d", l.Skipped)
	}
	return nil
}

// scale is the factor itself; without a LossScale it is 1.
func (l *LossScale) scale() float32 {
	if l == nil {
		return 1
	}
	return float32(l.Scale)
}

// skipped is the number of steps that moved nothing.
func (l *LossScale) skipped() int {
	if l == nil {
		return 0
	}
	return l.Skipped
}

// passed counts a step without overflow.
func (l *LossScale) passed() {
	if l == nil {
		return
	}
	if l.Good++; l.Good == lossScaleSteps {
		l.Scale, l.Good = min(2*l.Scale, maxLossScale), 0
	}
}

// overflowed counts a step whose gradient is not finite; false means that a smaller scale
// is no help.
func (l *LossScale) overflowed() bool {
	if l == nil || l.Scale == minLossScale {
		return false
	}
	l.Scale, l.Good = l.Scale/2, 0
	l.Skipped++
	return true
}
