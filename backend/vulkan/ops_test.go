//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optest"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

func plainCPU(t testing.TB) tensor.Backend {
	b, err := cpu.Open(cpu.Options{Threads: 1, PlainLoops: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestEveryKernelHasAShader(t *testing.T) {
	for _, d := range shaders.Kernels {
		if d.SPIRV == nil {
			t.Errorf("%s has a contract and no body", d.Name)
		}
	}
}

// Every operation gives what the CPU's plain loops give, forward and backward.
func TestOpsAgreeWithCPU(t *testing.T) {
	b := open(t, vulkan.Options{})
	optest.Agree(t, plainCPU(t), b, ops.All(), optest.Strict)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
