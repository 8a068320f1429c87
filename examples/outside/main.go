// Program outside trains a small network to tell two interleaved spirals apart,
// through Agora's public API only, from a module of its own.
package main

import (
	"fmt"
	"log"
	"math"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

const points = 200 // of each spiral

func main() {
	accuracy, err := train(400)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("accuracy %.1f %%\n", 100*accuracy)
	if accuracy < 0.98 {
		log.Fatal("the network has not learned the spirals")
	}
}

func train(steps int) (accuracy float64, err error) {
	d, err := device.Open("auto")
	if err != nil {
		return 0, err
	}
	defer d.Close()

	weights := nn.NewInitializer(d, 1)
	model := &struct {
		Net nn.Sequential `name:"net"`
	}{nn.Sequential{
		nn.NewLinear(weights, 2, 64, true), nn.Func(ops.Tanh),
		nn.NewLinear(weights, 64, 64, true), nn.Func(ops.Tanh),
		nn.NewLinear(weights, 64, 2, true),
	}}
	params, err := optim.Gather(d, model)
	if err != nil {
		return 0, err
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		return 0, err
	}

	x, labels := spirals(d)
	for step := range steps {
		tape := autograd.NewTape(d)
		loss := ops.CrossEntropy(model.Net.Forward(x), labels, 2*points)
		tape.Backward(loss)
		if step%100 == 0 {
			value, err := loss.Tensor().Float32s()
			if err != nil {
				return 0, err
			}
			fmt.Printf("step %3d  loss %.4f\n", step, value[0])
		}
		tape.Close()
		adam.Step(0.01)
		params.ZeroGrad()
	}

	guesses, err := ops.ArgMax(model.Net.Forward(x), -1).Tensor().Int32s()
	if err != nil {
		return 0, err
	}
	right := 0
	for i, g := range guesses {
		if int(g) == i/points {
			right++
		}
	}
	return float64(right) / (2 * points), nil
}

// spirals gives points [2 * points, 2] and which spiral each is on.
func spirals(d *tensor.Device) (x, labels *autograd.Var) {
	var xy []float32
	var arm []int32
	for a := range 2 {
		for i := range points {
			r := float64(i) / points
			angle := 4*math.Pi*r + math.Pi*float64(a)
			xy = append(xy, float32(r*math.Cos(angle)), float32(r*math.Sin(angle)))
			arm = append(arm, int32(a))
		}
	}
	return autograd.Const(d.FromFloat32s(tensor.F32, xy, 2*points, 2)), autograd.Const(d.FromInt32s(arm, 2*points))
}
