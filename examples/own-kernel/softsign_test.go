package main

import (
	"os"
	"strings"
	"testing"

	"example.com/own-kernel/kernels"
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/optest"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

var own = []autograd.Op{softsign{}}

func open(t *testing.T, o cpu.Options) tensor.Backend {
	b, err := cpu.Open(o)
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

func TestGradients(t *testing.T) {
	optest.Gradients(t, tensor.NewDevice(open(t, cpu.Options{})), own)
}

func TestSameBitsForAnyThreads(t *testing.T) {
	optest.Agree(t, open(t, cpu.Options{Threads: 1}), open(t, cpu.Options{Threads: 3}), own, optest.Limits{})
}

func TestVulkanAgreesWithCPU(t *testing.T) {
	b, err := vulkan.Open(vulkan.Options{})
	switch {
	case err != nil && os.Getenv("AGORA_REQUIRE_VULKAN") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	defer b.Close()
	optest.Agree(t, open(t, cpu.Options{}), b, own, optest.Strict)
}

// unfinished is a kernel with a contract, but neither a function nor a shader.
type unfinished struct{ shaders.Kernel }

func (unfinished) Name() string { return "test.unfinished" }

func init() {
	shaders.Register(shaders.Desc{
		Name: "test.unfinished", Sig: "T=T", Bindings: []string{"y", "x"}, Tiles: []shaders.Tile{{64}},
		TileNames: []string{"group"},
	})
}

func TestKernelWithoutAnImplementation(t *testing.T) {
	known := kernels.Softsign{N: 3}
	c, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	backends := map[string]tensor.Backend{"test.unfinished has no function here: cpu.Register gives it one": c}
	if b, err := vulkan.Open(vulkan.Options{}); err == nil {
		backends["test.unfinished: it has no shader: shaders/gen compiles one with -glslc"] = b
	}
	for want, b := range backends {
		d := tensor.NewDevice(b)
		d.Run(unfinished{known}, d.New(tensor.F32, 3), d.New(tensor.F32, 3))
		if err := d.Flush(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		_ = d.Close() // its error is that one
	}
}
