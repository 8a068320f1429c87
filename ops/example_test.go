package ops_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Without a tape nothing is recorded: an operation only computes.
func Example() {
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	a := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4, 5, 6}, 2, 3))
	b := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 0, 0, 1, 1, 1}, 3, 2))
	product, err := ops.MatMul(a, b, false, false).Tensor().Float32s()
	fmt.Println(product, err)
	mean, err := ops.Mean(a, -1).Tensor().Float32s()
	fmt.Println(mean, err)
	// Output:
	// [4 5 10 11] <nil>
	// [2 5] <nil>
}
