package nn_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// A model is a struct; tags name its parts, and Params walks them.
func Example() {
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	weights := nn.NewInitializer(d, 1) // random initial values of seed 1
	model := &struct {
		Net nn.Sequential `name:"net"`
	}{nn.Sequential{
		nn.NewLinear(weights, 2, 16, true), nn.Func(ops.Tanh),
		nn.NewLinear(weights, 16, 1, false),
	}}
	for name, p := range nn.Params(model) {
		fmt.Println(name, p.Value.Shape())
	}
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2}, 1, 2))
	fmt.Println(model.Net.Forward(x).Tensor().Shape())
	// Output:
	// net.0.weight [16 2]
	// net.0.bias [16]
	// net.2.weight [1 16]
	// [1 1]
}
