//go:build !vulkan_bindings

package shaders

import "embed"

//go:embed spv
var compiled embed.FS

const folder = "spv"
