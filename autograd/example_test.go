package autograd_test

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// The gradient of the sum of squares is twice the vector.
func Example() {
	d, _ := device.Open("auto")
	defer d.Close()
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3))
	loss := ops.Sum(ops.Mul(x, x))
	tape.Backward(loss)
	grad, err := tape.Grad(x).Float32s()
	fmt.Println(grad, err)
	// Output: [2 4 6] <nil>
}
