package cpu_test

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// A device with bounds of its own. Most programs use package device, which opens GPUs as well.
func ExampleOpen() {
	b, err := cpu.Open(cpu.Options{Threads: 2, MemoryLimit: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := tensor.NewDevice(b)
	defer d.Close()

	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4, 5, 6}, 2, 3))
	rows, err := ops.Sum(x, 1).Tensor().Float32s()
	fmt.Println(rows, err)
	// Output: [6 15] <nil>
}
