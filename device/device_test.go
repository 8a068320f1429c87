package device_test

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func closed(t *testing.T, d *tensor.Device) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestUnknownNames(t *testing.T) {
	for name, want := range map[string]string{
		"": "want auto", "gpu": "vulkan:0", "cpu:1": "want auto", "vulkan:99": `device "vulkan:99"`,
		"vulkan:voodoo": `device "vulkan:voodoo"`,
	} {
		if _, err := device.Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", name, err, want)
		}
	}
}

// Auto takes a GPU, or the CPU and says why.
func TestAuto(t *testing.T) {
	var lines []string
	d, err := device.OpenWith("auto",
		device.Options{Threads: 1, Notice: func(line string) { lines = append(lines, line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	t.Log(d.Name(), lines)
	if onCPU := d.Name() == "cpu"; onCPU != (len(lines) == 1) || len(lines) > 1 {
		t.Errorf("%s after the lines %q", d.Name(), lines)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "no GPU, so the CPU computes: ") || strings.Contains(line, "\n") {
			t.Errorf("notice %q", line)
		}
	}
}

// Two devices of one process work side by side.
func TestVulkan(t *testing.T) {
	var devices [2]*tensor.Device
	for i := range devices {
		d, err := device.Open("vulkan")
		if err != nil && os.Getenv("AGORA_REQUIRE_VULKAN") == "1" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
		defer closed(t, d)
		devices[i] = d
	}
	var results [2]*tensor.Tensor
	for i, d := range devices {
		x := d.FromFloat32s(tensor.F32, []float32{1, 2, float32(i)}, 3)
		results[i] = d.Like(x)
		d.Run(kernels.Add{N: 3, M: 3}, results[i], x, x)
	}
	for i, r := range results {
		got, err := r.Float32s()
		if want := []float32{2, 4, 2 * float32(i)}; err != nil || !slices.Equal(got, want) {
			t.Errorf("device %d: %v, %v; want %v", i, got, err, want)
		}
	}
}

// What decides bits is named: of the CPU the kernels, of Vulkan the driver and the shaders.
func TestArithmetic(t *testing.T) {
	for name, want := range map[string][]string{
		"cpu":    {"architecture", "device", "products", "vectors"},
		"vulkan": {"architecture", "device", "driver", "kind", "shaders", "subgroups", "workgroups"},
	} {
		d, err := device.Open(name)
		if name == "vulkan" && err != nil && os.Getenv("AGORA_REQUIRE_VULKAN") != "1" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all := d.Arithmetic()
		if name == "cpu" && gemm.HasBF16() {
			want = []string{"architecture", "device", "products", "products of bf16", "vectors"}
		}
		closed(t, d)
		if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		for what, value := range all {
			if value == "" {
				t.Errorf("%s: %s is empty", name, what)
			}
		}
		if !strings.HasPrefix(all["architecture"], runtime.GOARCH) || !strings.HasPrefix(all["device"], name) {
			t.Errorf("%s: got %v", name, all)
		}
		t.Log(all)
	}
}
