//go:build cgo && linux && (amd64 || arm64)

#include "vk.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vulkan_trimmed.h"

static PFN_vkGetInstanceProcAddr instance_proc; // of the loader, the same for all devices
static PFN_vkGetDeviceProcAddr device_proc;

void *vk_load(void) {
	void *lib = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
	if (lib) instance_proc = (PFN_vkGetInstanceProcAddr)dlsym(lib, "vkGetInstanceProcAddr");
	return (void *)instance_proc;
}

const char *vk_load_error(void) { return dlerror(); }

// Messages come from any thread of the driver.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char messages[1 << 16];

static VkBool32 collect(VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
                        const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
	(void)severity, (void)types, (void)user;
	pthread_mutex_lock(&lock);
	size_t n = strlen(messages);
	snprintf(messages + n, sizeof messages - n, "%s\n", data->pMessage);
	pthread_mutex_unlock(&lock);
	return 0;
}

static const VkDebugUtilsMessengerCreateInfoEXT messenger = {
	.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
	.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
	.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
	.pfnUserCallback = (PFN_vkDebugUtilsMessengerCallbackEXT)collect,
};

const void *vk_messages_chain(void) { return &messenger; }

int vk_messages_start(uint64_t instance) {
	VkDebugUtilsMessengerEXT m;
	VkInstance i = (VkInstance)instance;
	device_proc = (PFN_vkGetDeviceProcAddr)instance_proc(i, "vkGetDeviceProcAddr");
	PFN_vkCreateDebugUtilsMessengerEXT create =
		(PFN_vkCreateDebugUtilsMessengerEXT)instance_proc(i, "vkCreateDebugUtilsMessengerEXT");
	return create ? create(i, &messenger, NULL, &m) : -1;
}

const char *vk_messages(void) { return messages; }

void *vk_device_chain(void) {
	static VkPhysicalDevice16BitStorageFeatures storage = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
		.storageBuffer16BitAccess = 1,
	};
	static VkPhysicalDeviceBufferDeviceAddressFeatures address = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES,
		.pNext = &storage,
		.bufferDeviceAddress = 1,
	};
	return &address;
}

const void *vk_memory_chain(void) {
	static const VkMemoryAllocateFlagsInfo flags = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
		.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
	};
	return &flags;
}

// DEVICE declares a local function pointer of that device.
#define DEVICE(name) PFN_##name name = (PFN_##name)device_proc(device, #name)

uint64_t vk_address(uint64_t handle, uint64_t buffer) {
	VkDevice device = (VkDevice)handle;
	DEVICE(vkGetBufferDeviceAddress);
	return vkGetBufferDeviceAddress(device, &(VkBufferDeviceAddressInfo){
		.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = (VkBuffer)buffer});
}

static const char *record(const dispatch *d, VkPipeline pipeline, VkCommandBuffer cb, int *result) {
	VkDevice device = (VkDevice)d->device;
	DEVICE(vkBeginCommandBuffer);
	DEVICE(vkCmdBindPipeline);
	DEVICE(vkCmdPushConstants);
	DEVICE(vkCmdDispatch);
	DEVICE(vkCmdPipelineBarrier);
	DEVICE(vkEndCommandBuffer);
	VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
	VkMemoryBarrier to_host = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_HOST_READ_BIT,
	};
	if ((*result = vkBeginCommandBuffer(cb, &begin))) return "vkBeginCommandBuffer";
	vkCmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdPushConstants(cb, (VkPipelineLayout)d->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, d->push_bytes, d->push);
	vkCmdDispatch(cb, d->groups[0], d->groups[1], d->groups[2]);
	vkCmdPipelineBarrier(cb, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0, NULL, 0, NULL);
	if ((*result = vkEndCommandBuffer(cb))) return "vkEndCommandBuffer";
	return NULL;
}

const char *vk_run(const dispatch *d, int *result) {
	VkDevice device = (VkDevice)d->device;
	DEVICE(vkCreateComputePipelines);
	DEVICE(vkDestroyPipeline);
	DEVICE(vkAllocateCommandBuffers);
	DEVICE(vkFreeCommandBuffers);
	DEVICE(vkQueueSubmit);
	DEVICE(vkQueueWaitIdle);

	VkSpecializationMapEntry entries[32];
	for (uint32_t i = 0; i < d->constants; i++) entries[i] = (VkSpecializationMapEntry){d->ids[i], 4 * i, 4};
	VkSpecializationInfo special = {d->constants, entries, 4 * d->constants, d->values};
	VkComputePipelineCreateInfo create = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = {
			.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = (VkShaderModule)d->module,
			.pName = "main",
			.pSpecializationInfo = &special,
		},
		.layout = (VkPipelineLayout)d->layout,
	};
	VkPipeline pipeline;
	if ((*result = vkCreateComputePipelines(device, NULL, 1, &create, NULL, &pipeline))) return "vkCreateComputePipelines";

	VkCommandBufferAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = (VkCommandPool)d->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};
	VkCommandBuffer cb;
	if ((*result = vkAllocateCommandBuffers(device, &allocate, &cb))) return "vkAllocateCommandBuffers";
	const char *failed = record(d, pipeline, cb, result);
	VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cb};
	if (!failed && (*result = vkQueueSubmit((VkQueue)d->queue, 1, &submit, NULL))) failed = "vkQueueSubmit";
	if (!failed && (*result = vkQueueWaitIdle((VkQueue)d->queue))) failed = "vkQueueWaitIdle";
	vkFreeCommandBuffers(device, (VkCommandPool)d->pool, 1, &cb);
	vkDestroyPipeline(device, pipeline, NULL);
	return failed;
}
