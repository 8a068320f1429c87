package vulkan

import (
	"fmt"
	"strings"
)

// Info is what a device offers, and what it lacks.
type Info struct {
	Index      int    `json:"index"` // for Options.Device
	Name       string `json:"name"`
	Kind       Kind   `json:"kind"`
	Driver     string `json:"driver"`
	API        string `json:"api"`
	Memory     int    `json:"memory_bytes"`      // of the device's own heap
	Free       int    `json:"free_memory_bytes"` // now; -1 where the driver does not say
	Limits     Limits `json:"limits"`
	Subgroup   [3]int `json:"subgroup"`   // size, smallest, largest
	Processors int    `json:"processors"` // that take workgroups, each for itself; 0 where the driver does not say
	Storage16  bool   `json:"storage_16bit"`
	Storage8   bool   `json:"storage_8bit"`
	Float16    bool   `json:"arithmetic_f16"`
	BFloat16   bool   `json:"arithmetic_bf16"`
	Int8       bool   `json:"arithmetic_i8"`
	Halves     string `json:"rounding_f16"` // how floats are rounded to halves where kernels store them
	Timestamps bool   `json:"timestamps"`
	// Cooperative lists the cooperative matrices of subgroups: "16x16x16 f16*f16+f32", m, n and k.
	Cooperative []string `json:"cooperative_matrices"`
	// Workgroups lists those of whole workgroups, whose sizes may be any multiples: "32x32x16 f16*f16+f32 of 256", the
	// invocations of the workgroup.
	Workgroups []string `json:"workgroup_matrices"`
	// Streams is how weights that are elsewhere come to the device while it computes.
	Streams Streams `json:"streams"`
	// Alternatives lists the shaders that run some calls of a kernel in the place of its own, and which
	// calls, or what they multiply with: "matmul_gemv m<=8 !trans_a trans_b", "matmul_coopmat f16: 16x16x16".
	Alternatives []string `json:"alternatives"`
	// OnRequest are alternatives that run only where Options.WorkgroupMatrices asks for them: "matmul_coopmat2 f16:
	// 64x64x64 128x128x64", the parts of m, n and k that a workgroup multiplies at a time.
	OnRequest []string `json:"alternatives_on_request"`
	// Missing names what Agora needs and the device lacks; empty where it can be used.
	Missing []string `json:"missing"`

	matrices   []matrix   // of Cooperative, those that kernels may use
	workgroups []granules // and those of whole workgroups
	flexible   bool       // cooperative matrices may have any size: a part of what workgroups' need
	transfers  queue      // of copies beside kernels
}

// Kind is what sort of device it is.
type Kind string

// The kinds of devices; KindCPU is a driver that computes on the processor.
const (
	KindDiscrete   Kind = "discrete"
	KindIntegrated Kind = "integrated"
	KindVirtual    Kind = "virtual"
	KindCPU        Kind = "cpu"
	KindOther      Kind = "other"
)

// kinds by VkPhysicalDeviceType.
var kinds = [...]Kind{KindOther, KindIntegrated, KindDiscrete, KindVirtual, KindCPU}

// Usable returns why the device cannot be used, or nil.
func (i Info) Usable() error {
	if len(i.Missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s lacks %s", i.Name, strings.Join(i.Missing, ", "))
}

// componentNames are the types of cooperative matrices, by VkComponentTypeKHR.
var componentNames = map[uint32]string{
	0: "f16", 1: "f32", 2: "f64", 3: "s8", 4: "s16", 5: "s32", 6: "s64", 7: "u8", 8: "u16", 9: "u32", 10: "u64",
	1000141000: "bf16", 1000491002: "f8e4m3", 1000491003: "f8e5m2",
}

func componentName(t uint32) string {
	if s, ok := componentNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type%d", t)
}
