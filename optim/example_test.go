package optim_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

// A linear layer learns y = 2 x.
func Example() {
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	model := &struct {
		Layer *nn.Linear `name:"layer"`
	}{nn.NewLinear(nn.NewInitializer(d, 1), 1, 1, false)}
	params, err := optim.Gather(d, model)
	if err != nil {
		log.Fatal(err)
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		log.Fatal(err)
	}
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3, 1))
	y := autograd.Const(d.FromFloat32s(tensor.F32, []float32{2, 4, 6}, 3, 1))
	for range 200 {
		tape := autograd.NewTape(d)
		tape.Backward(ops.MSE(model.Layer.Forward(x), y))
		adam.Step(0.1)
		params.ZeroGrad()
		tape.Close()
	}
	weight, err := model.Layer.Weight.Value.Float32s()
	fmt.Printf("%.1f %v\n", weight[0], err)
	// Output: 2.0 <nil>
}
