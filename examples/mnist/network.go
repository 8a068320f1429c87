package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// network is two convolutions, each normalized and halved in size, and a layer that names the
// digit.
type network struct {
	Conv1 *nn.Conv2D    `name:"conv1"`
	Norm1 *nn.BatchNorm `name:"norm1"`
	Conv2 *nn.Conv2D    `name:"conv2"`
	Norm2 *nn.BatchNorm `name:"norm2"`
	Head  *nn.Linear    `name:"head"`
}

const (
	batch     = 32
	testBatch = 250
	rate      = 3e-3
)

func newNetwork(d *tensor.Device, height, width int) *network {
	weights := nn.NewInitializer(d, 1)
	window, padded := [2]int{3, 3}, ops.Conv2DOptions{Padding: [2]int{1, 1}}
	return &network{
		Conv1: nn.NewConv2D(weights, 1, 8, window, false, padded), Norm1: nn.NewBatchNorm(weights, 8),
		Conv2: nn.NewConv2D(weights, 8, 16, window, false, padded), Norm2: nn.NewBatchNorm(weights, 16),
		Head: nn.NewLinear(weights, 16*(height/4)*(width/4), 10, true),
	}
}

// forward maps images [batch, 1, height, width] to a number for each digit, [batch, 10].
func (m *network) forward(x *autograd.Var) *autograd.Var {
	half := ops.PoolOptions{Kernel: [2]int{2, 2}}
	x = ops.MaxPool2D(ops.ReLU(m.Norm1.Forward(m.Conv1.Forward(x))), half)
	x = ops.MaxPool2D(ops.ReLU(m.Norm2.Forward(m.Conv2.Forward(x))), half)
	return m.Head.Forward(ops.Reshape(x, x.Dim(0), -1))
}

// fit trains for some steps on images drawn from the set.
func fit(d *tensor.Device, m *network, set digits, r *rand.Rand, steps int) error {
	params, err := optim.Gather(d, m)
	if err != nil {
		return err
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		return err
	}
	schedule := optim.Linear(steps/10, steps)
	chosen := make([]int, batch)
	for step := range steps {
		for i := range chosen {
			chosen[i] = r.IntN(len(set.labels))
		}
		tape := autograd.NewTape(d)
		x, labels := set.batch(d, chosen)
		loss := ops.CrossEntropy(m.forward(x), labels, batch)
		tape.Backward(loss)
		adam.Step(rate * schedule(step+1))
		params.ZeroGrad()
		if step%50 == 0 || step == steps-1 {
			value, err := loss.Tensor().Float32s()
			if err != nil {
				return err
			}
			fmt.Printf("step %4d  loss %.4f\n", step, value[0])
		}
		tape.Close()
	}
	return d.Flush()
}

// accuracy is the part of the set that is read right.
func (m *network) accuracy(d *tensor.Device, set digits) (float64, error) {
	right := 0
	for lo := 0; lo < len(set.labels); lo += testBatch {
		chosen := make([]int, min(testBatch, len(set.labels)-lo))
		for i := range chosen {
			chosen[i] = lo + i
		}
		scope := d.Scope() // without a tape: the running statistics normalize
		x, labels := set.batch(d, chosen)
		hits, err := ops.Equal(ops.ArgMax(m.forward(x), -1), labels).Tensor().Int32s()
		scope.Close()
		if err != nil {
			return 0, err
		}
		for _, h := range hits {
			right += int(h)
		}
	}
	return float64(right) / float64(len(set.labels)), nil
}
