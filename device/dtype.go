package device

import (
	"fmt"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/tensor"
)

// AutoDType is the storage type of activations, and of weights that no file has quantized, that the dtype "auto" stands for
// on a device: bf16 or, where it has no matrices of that, f16 on a GPU that multiplies matrices of it, and f32 on
// every other. Why says so of a 16-bit type, and is empty with f32.
func AutoDType(d *tensor.Device) (dt tensor.DType, why string) {
	return autoDType(d.Name(), d.MultipliesMatrices)
}

// AutoDTypeOn is AutoDType of a device that is not open.
func AutoDTypeOn(i vulkan.Info) (dt tensor.DType, why string) { return autoDType(i.Name, i.Multiplies) }

// autoDType prefers bf16, whose range is that of f32: gradients in f16 need a loss scale.
func autoDType(name string, multiplies func(tensor.DType) bool) (dt tensor.DType, why string) {
	switch {
	case multiplies(tensor.BF16):
		return tensor.BF16, fmt.Sprintf("bf16, of which %s multiplies matrices", name)
	case multiplies(tensor.F16):
		return tensor.F16, fmt.Sprintf("f16, of which %s multiplies matrices: it has none of bf16", name)
	}
	return tensor.F32, ""
}
