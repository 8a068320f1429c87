package vulkan

import (
	"strings"
	"testing"
)

var machine = []Info{
	{Index: 0, Name: "llvmpipe (LLVM 19)", Kind: KindCPU, Memory: 64},
	{Index: 1, Name: "Intel UHD", Kind: KindIntegrated, Memory: 32},
	{Index: 2, Name: "NVIDIA H200", Kind: KindDiscrete, Memory: 141},
	{Index: 3, Name: "AMD RX 7600", Kind: KindDiscrete, Memory: 8},
	{Index: 4, Name: "NVIDIA K20", Kind: KindDiscrete, Memory: 500, Missing: []string{"buffer device addresses"}},
}

func TestChoose(t *testing.T) {
	for name, want := range map[string]int{"": 2, "0": 0, "3": 3, "discrete": 2, "integrated": 1, "cpu": 0, "amd": 3,
		"nvidia": 2, "LLVMpipe": 0} {
		got, err := choose(machine, name)
		if err != nil || got.Index != want {
			t.Errorf("%q: %s, %v; want %s", name, got.Name, err, machine[want].Name)
		}
	}
	for name, want := range map[string]string{
		"9": "3: AMD RX 7600 (discrete)", "-1": "0: llvmpipe", "voodoo": `no device "voodoo"`, "virtual": "no device",
		"4": "NVIDIA K20 lacks buffer device addresses",
	} {
		if _, err := choose(machine, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", name, err, want)
		}
	}
}

// A driver that computes on the processor is no reason to leave our own kernels there.
func TestBestIsAGPU(t *testing.T) {
	for _, tt := range []struct {
		list     []Info
		software bool
		want     string // name or error
	}{
		{machine, false, "NVIDIA H200"},
		{machine[:1], true, "llvmpipe"},
		{machine[:1], false, "is not a GPU"},
		{machine[4:], true, "lacks"},
		{nil, true, "no Vulkan device"},
	} {
		got, err := Best(tt.list, tt.software)
		if s := got.Name; err != nil && !strings.Contains(err.Error(), tt.want) ||
			err == nil && !strings.Contains(s, tt.want) {
			t.Errorf("%d devices, software %t: %q, %v; want %q", len(tt.list), tt.software, s, err, tt.want)
		}
	}
}

func TestMatrixNames(t *testing.T) {
	for want, m := range map[string]matrix{
		"16x8x16 bf16*bf16+f32": {16, 8, 16, componentName(1000141000), componentName(1000141000), componentName(1)},
		"8x8x8 type77*u8+u32":   {8, 8, 8, componentName(77), componentName(7), componentName(9)},
	} {
		if got := m.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
