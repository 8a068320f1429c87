// Program own-kernel adds an operation to Agora from a module of its own: its contract and shader
// (kernels/softsign.comp), its function for the CPU and its gradient (softsign.go). It runs on
// every device that Agora opens.
package main

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

func main() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	tape := autograd.NewTape(d)
	defer tape.Close()
	x := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{-3, -1, 0, 1, 3}, 5))
	y := Softsign(x)
	tape.Keep(y)
	tape.Backward(ops.Sum(y))
	values, err := d.Float64s(y.Tensor(), tape.Grad(x))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("softsign %v\ngradient %v\n", values[0], values[1])
}
