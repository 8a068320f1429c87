package device_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/tensor"
)

func ExampleOpen() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	x := d.FromFloat32s(tensor.F32, []float32{3, 4}, 2)
	fmt.Println(x.Shape(), x.DType())
	// Output: [2] f32
}
