//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
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

// attention_grad is for backends that offer it.
func TestEveryKernelHasAShader(t *testing.T) {
	for _, d := range shaders.All() {
		if d.SPIRV == nil && d.Name != "attention_grad" {
			t.Errorf("%s has a contract and no body", d.Name)
		}
	}
}

// Every operation gives what the CPU's plain loops give, forward and backward; those that
// multiply matrices of 16 bits with cooperative matrices, where there are any and PlainVariable does not refuse them.
func TestOpsAgreeWithCPU(t *testing.T) {
	var trace bytes.Buffer
	b := open(t, vulkan.Options{Profile: &trace})
	optest.Agree(t, plainCPU(t), b, ops.All(), optest.Strict)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ran := dispatches(t, &trace)
	t.Logf("matmul ran %d times, matmul_coopmat %d times", ran["matmul"], ran["matmul_coopmat"])
	wanted := offers(t, "matmul_coopmat") && os.Getenv(vulkan.PlainVariable) != "1"
	if used := ran["matmul_coopmat"] > 0; used != wanted && ran["matmul"] > 0 {
		t.Errorf("cooperative matrices were used: %t, want %t", used, wanted)
	}
}

// Attention's larger workgroups, which no software device takes by itself, compute the same.
func TestAttentionOfLargeWorkgroups(t *testing.T) {
	tiles := map[string]shaders.Tile{}
	for _, name := range []string{"attention", "attention_grad_q", "attention_grad_kv"} {
		d, _ := shaders.Find(name)
		tiles[name] = d.Tiles[len(d.Tiles)-1]
	}
	b := open(t, vulkan.Options{Tiles: tiles})
	attention := slices.DeleteFunc(ops.All(), func(o autograd.Op) bool {
		return autograd.OpName(o) != "attention"
	})
	optest.Agree(t, plainCPU(t), b, attention, optest.Strict)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
