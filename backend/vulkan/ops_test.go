//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
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

// withoutShader are those of the kernels that have a contract and no SPIR-V.
func withoutShader(kernels []string) []string {
	return slices.DeleteFunc(slices.Clone(kernels), func(name string) bool {
		d, ok := shaders.Find(name)
		return ok && d.SPIRV != nil
	})
}

// Every operation gives what the CPU's plain loops give, forward and backward.
func TestOpsAgreeWithCPU(t *testing.T) {
	if err := open(t, vulkan.Options{}).Close(); err != nil { // is there a device at all?
		t.Fatal(err)
	}
	reference := plainCPU(t)
	missing, skipped := map[string]bool{}, []string{}
	for _, op := range ops.All() {
		if names := withoutShader(optest.Kernels(t, reference, op)); len(names) > 0 {
			skipped = append(skipped, reflect.Indirect(reflect.ValueOf(op)).Type().Name())
			for _, name := range names {
				missing[name] = true
			}
			continue
		}
		b := open(t, vulkan.Options{})
		optest.Agree(t, reference, b, []autograd.Op{op}, optest.Strict)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of %d operations ran; %d were skipped, because these kernels have no Vulkan shader yet: %s (%s)",
		len(ops.All())-len(skipped), len(ops.All()), len(skipped), strings.Join(slices.Sorted(maps.Keys(missing)), " "), strings.Join(skipped, " "))
}
