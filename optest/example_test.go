package optest_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optest"
	"github.com/agora-ml/agora/tensor"
)

// operations would be those of the program; examples/own-kernel has one.
var operations = ops.All()

// The gradients of a program's own operations, on all Examples that they declare.
func ExampleGradients() {
	var t *testing.T // of func TestGradients(t *testing.T)

	b, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	optest.Gradients(t, d, operations)
}

// A GPU against the plain loops of the CPU, for every storage type.
func ExampleAgree() {
	var t *testing.T // of func TestGPU(t *testing.T)

	reference, err := cpu.Open(cpu.Options{PlainLoops: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reference.Close()
	gpu, err := vulkan.Open(vulkan.Options{})
	if err != nil {
		t.Skip(err)
	}
	defer gpu.Close()
	optest.Agree(t, reference, gpu, operations, optest.Strict)
}

// How long the Examples marked Large take; go test -bench . runs it.
func ExampleBenchmark() {
	var b *testing.B // of func BenchmarkOps(b *testing.B)

	backend, err := cpu.Open(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	d := tensor.NewDevice(backend)
	defer d.Close()
	optest.Benchmark(b, d, operations)
}
