//go:build vulkan_bindings

package kernels

import "embed"

// The kernels with their arguments by descriptors, which "make bound" compiles: for the tests of
// backend/vulkan alone.
//
//go:embed bound
var compiled embed.FS

const folder = "bound"
