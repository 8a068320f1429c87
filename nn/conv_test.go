package nn

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// While a tape records, the batch's statistics; without one the running ones, which have moved once.
func TestBatchNormTrainsWhileATapeRecords(t *testing.T) {
	d := testdevice.CPU(t, 1)
	n := NewBatchNorm(NewInitializer(d, 1), 1)
	n.Momentum = 0.5
	var train []string
	for name, p := range Params(n) {
		if !p.Frozen {
			train = append(train, name)
		}
	}
	if !slices.Equal(train, []string{"weight", "bias"}) {
		t.Errorf("%v train, want weight and bias", train)
	}
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{4, 6}, 2, 1)) // mean 5, unbiased variance 2
	tape := autograd.NewTape(d)
	if y := read(t, n.Forward(x).Tensor()); y[0] > -0.999 || y[1] < 0.999 {
		t.Errorf("training gives %v, want about -1 and 1", y)
	}
	tape.Close()
	mean, variance := read(t, n.RunningMean.Value), read(t, n.RunningVariance.Value)
	if mean[0] != 2.5 || variance[0] != 1.5 {
		t.Errorf("running mean %v and variance %v, want 2.5 and 1.5", mean, variance)
	}
	if y := read(t, n.Forward(x).Tensor()); y[0] < 1.22 || y[0] > 1.23 { // 1.5 / sqrt(1.5)
		t.Errorf("inference gives %v, want 1.2247 first", y)
	}
	if mean := read(t, n.RunningMean.Value); mean[0] != 2.5 {
		t.Errorf("the running mean moved to %v without a tape", mean)
	}
}

func TestConv2DHasPyTorchsShapes(t *testing.T) {
	d := testdevice.CPU(t, 1)
	c := NewConv2D(NewInitializer(d, 1), 6, 4, [2]int{3, 5}, true, ops.Conv2DOptions{Groups: 2})
	if !c.Weight.Value.HasShape(4, 3, 3, 5) || !c.Bias.Value.HasShape(4) {
		t.Errorf("weight %s, bias %s", c.Weight.Value, c.Bias.Value)
	}
	y := c.Forward(autograd.Const(d.FromFloat32s(tensor.F32, make([]float32, 2*6*7*7), 2, 6, 7, 7)))
	if !y.Tensor().HasShape(2, 4, 5, 3) {
		t.Errorf("result %s, want [2 4 5 3]", y.Tensor())
	}
}
