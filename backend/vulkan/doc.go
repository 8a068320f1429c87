// Package vulkan is the backend that runs every kernel on a GPU, or on anything else
// with a Vulkan 1.2 driver.
//
// Most of it knows no Vulkan: backend.go, recorder.go (the order of commands, and
// the barriers between them), memory.go (blocks cut into buffers), kernel.go (from a kernel's struct to
// a pipeline and its push constants), compile.go (pipelines that are made on threads), fill.go (weights that come while kernels run) and pace.go (how much is submitted
// at once) work on the interface in hardware.go, and are tested on a device that does nothing. gpu.go, transfer.go and
// load.go are that interface on Vulkan: handles come from github.com/vulkan-go/vulkan,
// everything else is made in vk.c, because that binding's calls that take slices free
// their arguments while they run.
//
// Arguments of kernels are addresses in the push constants: no descriptors, and nothing
// limits or aligns a tensor but its element.
//
// Synchronization validation cannot follow addresses, so a missing barrier would go unseen.
// The build tag vulkan_bindings, for tests alone, makes another form of every kernel's
// arguments, by descriptors, which it can follow (bound.go, vk_bound.c):
//
//	make bound
//	go test -short -tags vulkan_bindings -exec "$PWD/tools/.vk/run" -run 'ValidationSees|OpsAgree' ./backend/vulkan
package vulkan
