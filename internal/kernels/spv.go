//go:build !vulkan_bindings

package kernels

import "embed"

//go:embed spv
var compiled embed.FS

const folder = "spv"
