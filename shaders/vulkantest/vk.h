// The calls that vulkan-go cannot make, or not safely. Handles are uint64.
#include <stdint.h>

// dispatch is one run of one pipeline, plain data so that Go can pass a pointer to it.
typedef struct {
	uint64_t device, queue, pool, module, layout;
	uint32_t constants, ids[32], values[32]; // specialization constants
	uint32_t push_bytes, groups[3];
	uint8_t push[128];
} dispatch;

void *vk_load(void);                               // vkGetInstanceProcAddr of libvulkan.so.1, or NULL
const char *vk_load_error(void);                   // why vk_load gave NULL
const void *vk_messages_chain(void);               // pNext of an instance: collects messages while it is made
int vk_messages_start(uint64_t instance);          // and from then on
const char *vk_messages(void);                     // all of them so far
void *vk_device_chain(void);                       // pNext of a device: the features that kernels need
const void *vk_memory_chain(void);                 // pNext of an allocation: memory with an address
uint64_t vk_address(uint64_t device, uint64_t buffer);
const char *vk_run(const dispatch *d, int *result); // runs and waits; the call that failed, or NULL
