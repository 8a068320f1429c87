// Package vulkantest proves the shader contract: it runs the compiled kernels
// once each on a Vulkan device, with nothing of the engine between them and the
// test. The handles come from github.com/vulkan-go/vulkan. Its calls that take
// slices free their arguments during the call, so vk.c makes those, and the ones
// that the binding does not know (buffer addresses, validation messages).
//
//	tools/vktools.sh
//	go test -exec "$PWD/tools/.vk/run" ./shaders/vulkantest
package vulkantest
