package vulkan

import (
	"io"

	"github.com/agora-ml/agora/shaders"
)

// Options choose how the backend works; the zero value is right for most.
type Options struct {
	// Device is which one: a number of Devices, a part of its name, or its kind ("discrete",
	// "integrated", "virtual", "cpu"). "" is the best there is.
	Device string
	// MemoryLimit is the most bytes of device memory; 0 means what the driver says is free.
	MemoryLimit int
	// CacheDir keeps compiled pipelines from one run to the next; "" means a folder of
	// the user's cache folder, NoCache none.
	CacheDir string
	// Profile, if set, gets the time of every command as a Chrome trace, at Close.
	Profile io.Writer

	// Plain leaves out the shaders that only some devices run, and their conversions to halves: for comparison.
	// PlainVariable, set to 1, does the same.
	Plain bool
	// WorkgroupMatrices has products run on shaders with cooperative matrices of whole workgroups, where the device has
	// them (VK_NV_cooperative_matrix2). No device has run these shaders yet, so that they must be asked for.
	// WorkgroupMatricesVariable, set to 1, does the same.
	WorkgroupMatrices bool
	// Tiles are the launch sizes of shaders, by name, in the place of those that the
	// backend chooses: for measurements. They must fit the device.
	Tiles map[string]shaders.Tile

	// Staged has buffers that are filled beside kernels (tensor.Filler) filled from memory of the host also where the
	// device shares it: for tests of what a card with memory of its own does.
	Staged bool
	// ConvertHalves has the device round to halves although it does not promise to keep subnormals: for tests on devices
	// that do.
	ConvertHalves bool
	// Limits lower the device's own, for tests; 0 leaves one as it is.
	Limits Limits
}

// PlainVariable names the environment variable that, set to 1, sets Options.Plain.
const PlainVariable = "AGORA_VULKAN_PLAIN"

// WorkgroupMatricesVariable names the environment variable that, set to 1, sets Options.WorkgroupMatrices.
const WorkgroupMatricesVariable = "AGORA_VULKAN_WORKGROUP_MATRICES"

// NoCache is the CacheDir of a backend that keeps nothing.
const NoCache = "-"

// Limits of a device.
type Limits struct {
	Groups      [3]int `json:"groups"`      // workgroups of a dispatch in x, y and z
	Invocations int    `json:"invocations"` // of a workgroup
	Shared      int    `json:"shared"`      // bytes that a workgroup shares
	Allocation  int    `json:"allocation"`  // bytes of one allocation, and so of a tensor
	Allocations int    `json:"allocations"` // how many there may be
	// Registers of each of 64 lanes of one of a processor's SIMDs, which subgroups of 64 share; 0 where the driver does not say.
	Registers int `json:"registers"`
	// Narrow is the size of the subgroups that some kernels with matrices have in the place of wider ones; 0: none.
	Narrow int `json:"narrow_subgroup"`
}

// lowered is l with what o sets below it.
func (l Limits) lowered(o Limits) Limits {
	lower := func(v *int, to int) {
		if to > 0 && to < *v {
			*v = to
		}
	}
	for i := range l.Groups {
		lower(&l.Groups[i], o.Groups[i])
	}
	lower(&l.Invocations, o.Invocations)
	lower(&l.Shared, o.Shared)
	lower(&l.Allocation, o.Allocation)
	lower(&l.Allocations, o.Allocations)
	lower(&l.Registers, o.Registers)
	return l
}
