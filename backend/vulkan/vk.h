// What vulkan-go cannot do, or not safely: its calls that take slices free their
// arguments while they run, and it knows Vulkan 1.0 alone. Handles are uint64, everything
// else is plain data, so that Go may pass pointers to it. A result is a VkResult.
#ifndef AGORA_VK_H
#define AGORA_VK_H

#include <stdint.h>

enum {
	VK_SLOTS = 3,        // command buffers of a device: one fills while two run
	VK_TRANSFERS = 2,    // copies beside them that may be on their way
	VK_MAX_HEAPS = 16,   // as in Vulkan
	VK_MAX_TYPES = 32,   // as in Vulkan
	VK_MAX_FAMILIES = 16, // of queues
	VK_MAX_SHAPES = 256, // of cooperative matrices
	VK_PUSH_BYTES = 128, // of push constants, which every device has
	VK_BINDINGS = 12,    // of a kernel, at most
	VK_MAX_EXTENSIONS = 8, // of a device, that are asked for
	VULKAN_1_2 = 1 << 22 | 2 << 12,
	VULKAN_1_3 = 1 << 22 | 3 << 12,
};

// Bits of vk_facts.features.
enum {
	VK_HAS_ADDRESSES = 1,   // of buffers
	VK_HAS_TIMELINES = 2,   // semaphores that count
	VK_HAS_STORAGE16 = 4,   // 16-bit numbers in buffers
	VK_HAS_STORAGE8 = 8,
	VK_HAS_FLOAT16 = 16,    // arithmetic
	VK_HAS_INT8 = 32,
	VK_HAS_BFLOAT16 = 64,   // in cooperative matrices
	VK_HAS_COOPERATIVE = 128, // matrices, and what their kernels need besides
	VK_HAS_BUDGET = 256,    // tells how much memory is free
	VK_HAS_COMPUTE = 512,   // a queue family for it
	VK_HAS_TIMESTAMPS = 1024,
	VK_HAS_FLEXIBLE = 2048,   // cooperative matrices of any size, their conversions, and what is done to each element
	VK_HAS_WORKGROUP = 4096,  // and whole workgroups', loaded by tensors' layouts
	VK_HAS_HALVES = 8192,   // conversions to them that keep subnormals, infinities and NaN
	VK_HAS_SIZES = 16384,   // of subgroups, which a pipeline may ask for
};

// A shape of cooperative matrices: result[m,n] = a[m,k] * b[k,n] + c[m,n], types as VkComponentTypeKHR.
typedef struct {
	uint32_t m, n, k, a, b, c, result, scope;
	uint32_t invocations; // of the workgroup that has it, where m, n and k may be any multiple; else 0
} vk_shape;

// Everything that Agora asks about a physical device.
typedef struct {
	char name[256], driver[256], driver_info[256];
	uint32_t api, vendor, device, type;
	uint8_t cache_uuid[16];
	uint32_t features;
	uint32_t groups[3], group_size[3], invocations, shared_bytes;
	uint64_t allocation_bytes, buffer_bytes;
	uint32_t allocations; // that may exist at once
	uint32_t processors;  // that take workgroups, each for itself; 0: the driver does not say
	uint32_t registers;   // of each of 64 lanes of one of a processor's SIMDs; 0: the driver does not say
	uint32_t subgroup, subgroup_min, subgroup_max;
	uint32_t timestamp_bits;
	float timestamp_ns; // of one tick
	uint32_t family;    // the queue family that kernels will use
	uint32_t families, family_flags[VK_MAX_FAMILIES], family_queues[VK_MAX_FAMILIES];
	uint32_t heaps, types, shapes;
	uint64_t heap_bytes[VK_MAX_HEAPS];
	uint32_t type_flags[VK_MAX_TYPES], type_heap[VK_MAX_TYPES];
	vk_shape shape[VK_MAX_SHAPES];
	uint32_t flexible_most;        // of m, n and k
	uint32_t flexible_invocations; // of a workgroup that has matrices, at most
} vk_facts;

// An argument by descriptor; buffer 0: nil.
typedef struct {
	uint64_t buffer, at, size;
} vk_binding;

// One command of a submission; the same layout as the recorder's command.
typedef struct {
	uint32_t kind; // 0 barrier, 1 dispatch, 2 copy
	uint32_t push_bytes;
	uint64_t pipeline;
	uint64_t from, to;            // copy: buffers
	uint64_t from_at, to_at, size; // copy: bytes
#ifdef BOUND // see bound.go
	uint64_t bindings;
	vk_binding binding[VK_BINDINGS];
#endif
	uint32_t groups[3];
	uint8_t push[VK_PUSH_BYTES];
} vk_command;

// A logical device: its function table and what submissions need. Go fills the handles in.
typedef struct vk_device vk_device;
typedef struct {
	uint64_t device, queue, timeline, layout;
	uint64_t pools[VK_SLOTS], queries[VK_SLOTS];
	uint64_t transfer_queue, transfer_timeline, transfer_pools[VK_TRANSFERS];
} vk_handles;

void *vk_load(char *why, int n); // vkGetInstanceProcAddr, or NULL and why
uint32_t vk_instance_version(void);
int vk_has_layer(const char *name);

const void *vk_messages_chain(void);      // pNext of an instance: collects messages while it is made
int vk_messages_start(uint64_t instance); // and from then on
int vk_messages(char *text, int n);       // takes what was said so far; its length

void vk_instance_functions(uint64_t instance);
void vk_describe(uint64_t physical, vk_facts *facts);
void vk_heap_free(uint64_t physical, uint64_t *bytes); // of every heap, by VK_EXT_memory_budget

void *vk_device_chain(uint32_t features); // pNext of a device: the features that kernels need; free it
uint32_t vk_device_extensions(uint32_t features, const char *names[VK_MAX_EXTENSIONS]); // and the extensions; their number
const void *vk_timeline_chain(void); // pNext of a semaphore
const void *vk_memory_chain(void);   // pNext of an allocation: memory with an address

int vk_device_new(const vk_handles *handles, vk_device **device);
void vk_device_free(vk_device *device); // the table, command buffers, pipelines' cache; not the handles

uint64_t vk_address(vk_device *device, uint64_t buffer);
int vk_cache_load(vk_device *device, const void *data, uint64_t bytes);
int vk_cache_save(vk_device *device, void *data, uint64_t *bytes); // data may be NULL: the size
int vk_pipeline(vk_device *device, const void *code, uint64_t bytes, const uint32_t *constants, uint32_t n,
                int full, uint32_t subgroup, uint64_t *pipeline); // constants by number; full: of full subgroups; subgroup: their size that it asks for, 0: none
void vk_pipeline_free(vk_device *device, uint64_t pipeline);

// Records the commands in a slot that has finished, and submits them behind transfer after (0: none): the timeline
// then reaches value. With stamps, the clock is read before the first command and behind every other; else before and
// behind them all.
int vk_submit(vk_device *device, uint32_t slot, const vk_command *commands, uint32_t n, uint64_t after, uint64_t value,
              int stamps);
int vk_stamps(vk_device *device, uint32_t slot, uint32_t n, uint64_t *ticks);

// The same for one copy on the queue of transfers, which has a timeline and slots of its own: behind submission after.
int vk_transfer(vk_device *device, uint32_t slot, const vk_command *copy, uint64_t after, uint64_t value);

// Of submissions, or of transfers.
int vk_wait(vk_device *device, int transfers, uint64_t value, uint64_t ns);
int vk_reached(vk_device *device, int transfers, uint64_t *value);

#endif
