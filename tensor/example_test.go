package tensor_test

import (
	"fmt"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/tensor"
)

// What is made while a scope is open goes with it; Keep moves a tensor out.
func ExampleDevice_Scope() {
	d, err := device.Open("cpu")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()

	scope := d.Scope()
	a := d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 2, 2)
	b := d.FromFloat32s(tensor.BF16, []float32{1, 2}, 2)
	scope.Keep(b)
	scope.Close()

	fmt.Println(a.Alive(), b.Alive())
	values, err := b.Float32s() // waits for the device
	fmt.Println(b.Shape(), b.DType(), values, err)
	// Output:
	// false true
	// [2] bf16 [1 2] <nil>
}

// A mistake of the program panics; Catch makes an error of it, and of nothing else.
func ExampleCatch() {
	d, err := device.Open("cpu")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	err = tensor.Catch(func() { d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 2, 2) })
	fmt.Println(err)
	// Output: set: 3 elements for f32[2 2], which has 4
}
