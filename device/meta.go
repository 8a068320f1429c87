package device

import (
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/null"
	"github.com/agora-ml/agora/tensor"
)

// Meta returns a device without memory, as PyTorch's meta device is: tensors have shapes and sizes and no
// values, and kernels run at once and do nothing. Its Stats tell what a program would need on the CPU with
// these options.
func Meta(o Options) *tensor.Device {
	return tensor.NewDevice(null.Open(null.Options{Limit: o.MemoryLimit, Kernels: &cpu.Footprint{
		Threads: o.Threads, MatmulPrecision: o.MatmulPrecision,
	}}))
}

// MetaGPU is Meta for a device whose kernels keep no memory beside tensors, as a GPU's.
func MetaGPU() *tensor.Device { return tensor.NewDevice(null.Open(null.Options{})) }
