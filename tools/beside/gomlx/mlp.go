package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

const learningRate = 1e-3

// network is layers with biases, ReLU between them, cross entropy and Adam, in f32; every batch is the same.
type network struct {
	batch, in int
	hidden    []int
	out       int
}

// data are inputs [batch, in] and the class of each row.
func (n network) data() ([]float32, []int32) {
	r := rand.New(rand.NewPCG(1, 2))
	x, labels := make([]float32, n.batch*n.in), make([]int32, n.batch)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range labels {
		labels[i] = int32(r.IntN(n.out))
	}
	return x, labels
}

// compare prints steps a second of both, measured in turns, and the loss that each has come to.
func (n network) compare(pairs int, seconds float64) error {
	own, err := n.agora()
	if err != nil {
		return err
	}
	other, err := n.gomlx()
	if err != nil {
		return err
	}
	var rates, otherRates, ratios []float64
	var loss, otherLoss float64
	for range pairs {
		var a, b float64
		if a, loss, err = rate(own, seconds); err != nil {
			return err
		}
		if b, otherLoss, err = rate(other, seconds); err != nil {
			return err
		}
		rates, otherRates, ratios = append(rates, a), append(otherRates, b), append(ratios, a/b)
	}
	fmt.Printf("batch %d, %d-%v-%d: Agora %.2f steps/s (loss %.4f), GoMLX %.2f (loss %.4f), ratio of a pair %.2f (%.2f, %.2f)\n",
		n.batch, n.in, n.hidden, n.out, median(rates), loss, median(otherRates), otherLoss, median(ratios), ratios[0],
		ratios[len(ratios)-1])
	return nil
}

// rate is steps a second, and the last one's loss.
func rate(step func() (float64, error), seconds float64) (float64, float64, error) {
	var last float64
	var err error
	steps, start := 0, time.Now()
	for ; steps < 2 || time.Since(start).Seconds() < seconds; steps++ {
		if last, err = step(); err != nil {
			return 0, 0, err
		}
	}
	return float64(steps) / time.Since(start).Seconds(), last, nil
}

func (n network) gomlx() (func() (float64, error), error) {
	backend, err := compute.NewWithConfig(config)
	if err != nil {
		return nil, err
	}
	x, labels := n.data()
	perceptron := func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		y := inputs[0]
		for i, width := range n.hidden {
			y = activation.Relu(layers.Dense(scope.In("layer_%d", i), y, true, width))
		}
		return []*graph.Node{layers.Dense(scope.In("head"), y, true, n.out)}
	}
	trainer := train.NewTrainer(backend, model.NewStore(), perceptron, loss.SparseCategoricalCrossEntropyLogits,
		optimizer.Adam().LearningRate(learningRate).Done(), nil, nil)
	return func() (float64, error) {
		metrics, err := trainer.TrainStep(train.Batch{
			Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(x, n.batch, n.in)},
			Labels: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(labels, n.batch, 1)},
		})
		if err != nil {
			return 0, err
		}
		return float64(tensors.ToScalar[float32](metrics[0])), nil
	}, nil
}

// perceptron is Agora's network.
type perceptron struct {
	Layers []*nn.Linear `name:"layers"`
}

func (n network) agora() (func() (float64, error), error) {
	d, err := device.Open("cpu")
	if err != nil {
		return nil, err
	}
	weights := nn.NewInitializer(d, 1)
	m, in := &perceptron{}, n.in
	for _, width := range append(append([]int{}, n.hidden...), n.out) {
		m.Layers, in = append(m.Layers, nn.NewLinear(weights, in, width, true)), width
	}
	params, err := optim.Gather(d, m)
	if err != nil {
		return nil, err
	}
	rule := optim.DefaultAdamW()
	rule.WeightDecay = 0
	adam, err := optim.New(params, rule)
	if err != nil {
		return nil, err
	}
	x, labels := n.data()
	return func() (float64, error) {
		tape := autograd.NewTape(d)
		defer tape.Close()
		y := autograd.Const(d.FromFloat32s(tensor.F32, x, n.batch, n.in))
		for i, l := range m.Layers {
			if y = l.Forward(y); i < len(m.Layers)-1 {
				y = ops.ReLU(y)
			}
		}
		loss := ops.CrossEntropy(y, autograd.Const(d.FromInt32s(labels, n.batch)), n.batch)
		tape.Backward(loss)
		adam.Step(learningRate)
		params.ZeroGrad()
		value, err := loss.Tensor().Float32s()
		if err != nil {
			return 0, err
		}
		return float64(value[0]), nil
	}, nil
}
