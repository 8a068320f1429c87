package vulkan_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// What a dispatch costs before a driver sees it: checks, hazards, the command.
func BenchmarkRecord(b *testing.B) {
	backend, _ := vulkan.OpenNull()
	d := tensor.NewDevice(backend)
	defer d.Close()
	x, y := d.New(tensor.F32, 64), d.New(tensor.F32, 64)
	b.ReportAllocs()
	for b.Loop() {
		d.Run(kernels.Add{N: 64, M: 64}, y, x, x)
	}
}
