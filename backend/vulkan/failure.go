package vulkan

import (
	"errors"
	"fmt"

	"github.com/agora-ml/agora/tensor"
)

// ErrLost is wrapped by the error of a device that has stopped: a driver resets a GPU whose
// work takes too long, or that has failed. Nothing on it can be read any more.
var ErrLost = errors.New("the device was lost")

// resultNames are the negative VkResults that drivers return.
var resultNames = map[int]string{
	-1: "VK_ERROR_OUT_OF_HOST_MEMORY", -2: "VK_ERROR_OUT_OF_DEVICE_MEMORY", -3: "VK_ERROR_INITIALIZATION_FAILED",
	-4: "VK_ERROR_DEVICE_LOST", -5: "VK_ERROR_MEMORY_MAP_FAILED", -6: "VK_ERROR_LAYER_NOT_PRESENT",
	-7: "VK_ERROR_EXTENSION_NOT_PRESENT", -8: "VK_ERROR_FEATURE_NOT_PRESENT", -9: "VK_ERROR_INCOMPATIBLE_DRIVER",
	-10: "VK_ERROR_TOO_MANY_OBJECTS", -12: "VK_ERROR_FRAGMENTED_POOL", -13: "VK_ERROR_UNKNOWN",
	-1000012000: "VK_ERROR_INVALID_SHADER_NV", -1000257000: "VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS",
}

// failure is the error of a call that returned a VkResult.
func failure(call string, result int) error {
	name, ok := resultNames[result]
	if !ok {
		name = fmt.Sprintf("VkResult %d", result)
	}
	switch result {
	case -1, -2:
		return fmt.Errorf("%w: %s returned %s", tensor.ErrOutOfMemory, call, name)
	case -4:
		return fmt.Errorf("%w: %s returned %s; the last checkpoint is intact, and training can be resumed from it",
			ErrLost, call, name)
	}
	return fmt.Errorf("%s returned %s", call, name)
}
