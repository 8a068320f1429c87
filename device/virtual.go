package device

import (
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/null"
	"github.com/agora-ml/agora/tensor"
)

// Virtual opens a device without memory: tensors have shapes and sizes and no values, and
// everything runs at once and does nothing. Its Stats tell what a program would need on
// the CPU with these options.
func Virtual(options ...Options) *tensor.Device {
	var o Options
	if n := len(options); n > 0 {
		o = options[n-1]
	}
	return tensor.NewDevice(null.Open(null.Options{Limit: o.MemoryLimit, Kernels: &cpu.Footprint{Threads: o.Threads}}))
}

// VirtualGPU is Virtual for a device whose kernels keep no memory beside tensors.
func VirtualGPU() *tensor.Device { return tensor.NewDevice(null.Open(null.Options{})) }
