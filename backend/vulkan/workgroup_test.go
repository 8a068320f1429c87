//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64) && !vulkan_bindings

package vulkan_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// compileModel compiles a shader with matrices of workgroups with -DMODEL, which include/cooperative2.glsl explains.
func compileModel(t *testing.T, shader, tile string) []byte {
	t.Helper()
	args := []string{"--target-spv=spv1.6", "-DMODEL"}
	for _, d := range strings.Fields(tile) {
		args = append(args, "-D"+d)
	}
	return compileShader(t, "../../shaders/"+shader+".comp", args...)
}

// compileShader compiles a file that stands where kernels' includes are found, or skips where there is no compiler.
func compileShader(t *testing.T, file string, args ...string) []byte {
	t.Helper()
	runner := os.Getenv("AGORA_TEST_RUNNER")
	if runner == "" || exec.Command(runner, "glslc", "--version").Run() != nil {
		if os.Getenv("AGORA_REQUIRE_COOPERATIVE") == "1" {
			t.Fatal("AGORA_REQUIRE_COOPERATIVE=1: there is no glslc")
		}
		t.Skip("there is no glslc: tools/vktools.sh brings it, and go test -exec tools/.vk/run")
	}
	spv := filepath.Join(t.TempDir(), "model.spv")
	args = slices.Concat([]string{"glslc", "-fshader-stage=compute", "-std=460", "--target-env=vulkan1.2"}, args,
		[]string{"-I../../shaders", "-Itestdata", "-o", spv, file})
	if out, err := exec.Command(runner, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(spv)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// The product with matrices of workgroups, by the model of its loads: factors as they are stored and transposed, whole tiles
// and those with edges, parts of a step, bias, sums that are added to, results in f32 and f16. Integers are exact.
func TestMatmulOfWorkgroups(t *testing.T) {
	const shader = "matmul_coopmat2"
	code := compileModel(t, shader, "BINDINGS=4 TILE1=bm TILE2=bn TILE3=bk")
	if err := open(t, vulkan.Options{}).Close(); err != nil { // skips where there is no device
		t.Fatal(err)
	}
	r := random.NewStream(9, random.Test, 0, 0)
	integers := func() float64 { return float64(r.IntN(9) - 4) }
	var trace bytes.Buffer
	b, err := vulkan.OpenModelled(vulkan.Options{Profile: &trace}, code, shader, 16, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	if b == nil {
		if os.Getenv("AGORA_REQUIRE_COOPERATIVE") == "1" {
			t.Fatal("AGORA_REQUIRE_COOPERATIVE=1: the device has no cooperative matrices of any size")
		}
		t.Skip("the device has no cooperative matrices of any size")
	}
	subject := tensor.NewDevice(b)
	p := pair{subject, tensor.NewDevice(plainCPU(t)), 8}
	calls := 0
	for _, c := range []struct {
		layout  string
		acc     bool
		c, bias tensor.DType
	}{
		{"NT", false, tensor.F16, absent}, {"TN", true, tensor.F32, tensor.F16}, // software takes seconds to compile one
	} {
		for i, s := range [][3]int{{16, 32, 48}, {24, 40, 40}, {8, 8, 8}} { // whole tiles, some with edges, a part of one
			k := kernels.Matmul{Batch: 1 + i%2, M: s[0], N: s[1], K: s[2], TransA: c.layout[0] == 'T', TransB: c.layout[1] == 'T',
				BiasRows: 1, Acc: c.acc}
			if i != 0 {
				k.BiasRows = k.Batch * k.M
			}
			p.run(t, k, integers, c.c, tensor.F16, tensor.F16, c.bias)
			calls++
		}
	}
	if err := subject.Close(); err != nil {
		t.Fatal(err)
	}
	if ran := dispatches(t, &trace)[shader]; ran != calls {
		t.Errorf("%s ran %d times, want %d", shader, ran, calls)
	}
}
