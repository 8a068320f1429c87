//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

#include "vk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vk_bound.h"
#include "vulkan_trimmed.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

static PFN_vkGetInstanceProcAddr instance_proc; // of the loader, the same for all devices

#ifdef _WIN32
void *vk_load(char *why, int n) {
	HMODULE lib = LoadLibraryA("vulkan-1.dll");
	if (lib) instance_proc = (PFN_vkGetInstanceProcAddr)(void *)GetProcAddress(lib, "vkGetInstanceProcAddr");
	else snprintf(why, n, "vulkan-1.dll cannot be opened: error %lu", GetLastError());
	return (void *)instance_proc;
}
#else
#ifdef __APPLE__
static const char *const libraries[] = {"libvulkan.1.dylib", "libMoltenVK.dylib"};
#else
static const char *const libraries[] = {"libvulkan.so.1"};
#endif

void *vk_load(char *why, int n) {
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
		void *lib = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
		if (lib) instance_proc = (PFN_vkGetInstanceProcAddr)dlsym(lib, "vkGetInstanceProcAddr");
		if (instance_proc) return (void *)instance_proc;
		const char *error = dlerror();
		snprintf(why, n, "%s", error ? error : libraries[i]);
	}
	return NULL;
}
#endif

// GLOBAL and INSTANCE declare a local function pointer.
#define GLOBAL(name) PFN_##name name = (PFN_##name)instance_proc(NULL, #name)
#define INSTANCE(name) PFN_##name name = (PFN_##name)instance_proc(instance, #name)

uint32_t vk_instance_version(void) {
	GLOBAL(vkEnumerateInstanceVersion);
	uint32_t version = 0; // of a loader from before Vulkan 1.1
	if (vkEnumerateInstanceVersion) vkEnumerateInstanceVersion(&version);
	return version;
}

int vk_has_layer(const char *name) {
	GLOBAL(vkEnumerateInstanceLayerProperties);
	uint32_t n = 0;
	int found = 0;
	vkEnumerateInstanceLayerProperties(&n, NULL);
	VkLayerProperties *list = calloc(n + 1, sizeof *list);
	vkEnumerateInstanceLayerProperties(&n, list);
	for (uint32_t i = 0; i < n; i++) found |= !strcmp(list[i].layerName, name);
	free(list);
	return found;
}

// Messages come from any thread of the driver.
static char lock, messages[1 << 16];

static void acquire(void) { while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE)) {} }
static void release(void) { __atomic_clear(&lock, __ATOMIC_RELEASE); }

static VkBool32 VKAPI_PTR collect(VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
                                  const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
	(void)severity, (void)types, (void)user;
	acquire();
	size_t n = strlen(messages);
	snprintf(messages + n, sizeof messages - n, "%s\n", data->pMessage);
	release();
	return 0;
}

int vk_messages(char *text, int n) {
	acquire();
	int length = snprintf(text, n, "%s", messages);
	messages[0] = 0;
	release();
	return length < n ? length : n - 1;
}

static const VkDebugUtilsMessengerCreateInfoEXT messenger = {
	.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
	.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
	.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
	.pfnUserCallback = collect,
};

const void *vk_messages_chain(void) { return &messenger; }

int vk_messages_start(uint64_t handle) {
	VkInstance instance = (VkInstance)handle;
	INSTANCE(vkCreateDebugUtilsMessengerEXT);
	VkDebugUtilsMessengerEXT m;
	return vkCreateDebugUtilsMessengerEXT ? vkCreateDebugUtilsMessengerEXT(instance, &messenger, NULL, &m) : -1;
}

// The one instance of the process, and its functions.
#define INSTANCE_FUNCTIONS(F) \
	F(vkGetDeviceProcAddr) F(vkGetPhysicalDeviceProperties) F(vkGetPhysicalDeviceProperties2) \
	F(vkGetPhysicalDeviceFeatures2) F(vkGetPhysicalDeviceMemoryProperties2) \
	F(vkGetPhysicalDeviceQueueFamilyProperties) F(vkEnumerateDeviceExtensionProperties) \
	F(vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR) \
	F(vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV)

#define DECLARE(name) static PFN_##name name;
INSTANCE_FUNCTIONS(DECLARE)

void vk_instance_functions(uint64_t handle) {
	VkInstance instance = (VkInstance)handle;
#define LOAD(name) name = (PFN_##name)instance_proc(instance, #name);
	INSTANCE_FUNCTIONS(LOAD)
}

static void describe_shapes(VkPhysicalDevice gpu, vk_facts *f) {
	VkCooperativeMatrixPropertiesKHR list[VK_MAX_SHAPES];
	uint32_t n = VK_MAX_SHAPES;
	for (uint32_t i = 0; i < n; i++)
		list[i] = (VkCooperativeMatrixPropertiesKHR){.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
	if (vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(gpu, &n, list) < 0) return;
	for (uint32_t i = 0; i < n; i++) {
		VkCooperativeMatrixPropertiesKHR *s = &list[i];
		f->shape[f->shapes++] = (vk_shape){s->MSize, s->NSize, s->KSize, s->AType, s->BType, s->CType, s->ResultType, s->scope, 0};
	}
}

// describe_workgroups adds the shapes that whole workgroups have, behind those of subgroups.
static void describe_workgroups(VkPhysicalDevice gpu, vk_facts *f) {
	VkPhysicalDeviceCooperativeMatrix2PropertiesNV most = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV};
	VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &most};
	vkGetPhysicalDeviceProperties2(gpu, &all);
	f->flexible_most = most.cooperativeMatrixFlexibleDimensionsMaxDimension;
	f->flexible_invocations = most.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize;
	VkCooperativeMatrixFlexibleDimensionsPropertiesNV list[VK_MAX_SHAPES];
	uint32_t n = VK_MAX_SHAPES;
	for (uint32_t i = 0; i < n; i++) list[i] = (VkCooperativeMatrixFlexibleDimensionsPropertiesNV){
		.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV};
	if (vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV(gpu, &n, list) < 0) return;
	for (uint32_t i = 0; i < n && f->shapes < VK_MAX_SHAPES; i++) {
		VkCooperativeMatrixFlexibleDimensionsPropertiesNV *s = &list[i];
		if (s->scope != VK_SCOPE_WORKGROUP_KHR || s->saturatingAccumulation) continue;
		f->shape[f->shapes++] = (vk_shape){s->MGranularity, s->NGranularity, s->KGranularity, s->AType, s->BType, s->CType,
			s->ResultType, s->scope, s->workgroupInvocations};
	}
}

// describe_queues chooses a queue family: one that only computes would run beside the screen's work.
static void describe_queues(VkPhysicalDevice gpu, vk_facts *f) {
	VkQueueFamilyProperties list[VK_MAX_FAMILIES];
	uint32_t n = VK_MAX_FAMILIES, best = 0;
	vkGetPhysicalDeviceQueueFamilyProperties(gpu, &n, list);
	f->families = n;
	for (uint32_t i = 0; i < n; i++) {
		f->family_flags[i] = list[i].queueFlags, f->family_queues[i] = list[i].queueCount;
		uint32_t rank = list[i].queueFlags & VK_QUEUE_COMPUTE_BIT ? 1 + !(list[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) : 0;
		if (rank <= best) continue;
		best = rank, f->family = i, f->timestamp_bits = list[i].timestampValidBits;
		f->features |= VK_HAS_COMPUTE;
	}
	if (f->timestamp_bits) f->features |= VK_HAS_TIMESTAMPS;
}

static void describe_memory(VkPhysicalDevice gpu, vk_facts *f) {
	VkPhysicalDeviceMemoryProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
	vkGetPhysicalDeviceMemoryProperties2(gpu, &p);
	f->heaps = p.memoryProperties.memoryHeapCount, f->types = p.memoryProperties.memoryTypeCount;
	for (uint32_t i = 0; i < f->heaps; i++) f->heap_bytes[i] = p.memoryProperties.memoryHeaps[i].size;
	for (uint32_t i = 0; i < f->types; i++) {
		f->type_flags[i] = p.memoryProperties.memoryTypes[i].propertyFlags;
		f->type_heap[i] = p.memoryProperties.memoryTypes[i].heapIndex;
	}
}

// VK_KHR_shader_bfloat16, which is newer than the header.
#define BFLOAT16_EXTENSION "VK_KHR_shader_bfloat16"
enum { BFLOAT16_FEATURES = 1000141000 };
typedef struct {
	VkStructureType sType;
	void *pNext;
	VkBool32 type, dot_product, cooperative_matrix;
} bfloat16_features;

// What a device has beyond Vulkan 1.2: features, and makers' properties that tell of its processors.
typedef struct {
	int matrix, matrix2, sizes, bfloat16, amd, amd_registers, nvidia, arm;
} extensions;

static void describe_features(VkPhysicalDevice gpu, extensions has, vk_facts *f) {
	void *chain = NULL;
	VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
	VkPhysicalDeviceSubgroupSizeControlFeatures sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
	bfloat16_features bfloat16 = {.sType = (VkStructureType)BFLOAT16_FEATURES};
	VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV};
	if (has.matrix2) matrix2.pNext = chain, chain = &matrix2;
	if (has.matrix) matrix.pNext = chain, chain = &matrix;
	if (has.sizes) sizes.pNext = chain, chain = &sizes;
	if (has.bfloat16) bfloat16.pNext = chain, chain = &bfloat16;
	VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = chain};
	VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &v12};
	VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
	vkGetPhysicalDeviceFeatures2(gpu, &all);
	if (v12.bufferDeviceAddress) f->features |= VK_HAS_ADDRESSES;
	if (v12.timelineSemaphore) f->features |= VK_HAS_TIMELINES;
	if (v11.storageBuffer16BitAccess) f->features |= VK_HAS_STORAGE16;
	if (v12.storageBuffer8BitAccess) f->features |= VK_HAS_STORAGE8;
	if (v12.shaderFloat16) f->features |= VK_HAS_FLOAT16;
	if (v12.shaderInt8) f->features |= VK_HAS_INT8;
	if (!matrix.cooperativeMatrix) return;
	describe_shapes(gpu, f);
	if (!v12.vulkanMemoryModel || !v12.vulkanMemoryModelDeviceScope || !v12.shaderFloat16) return;
	if (!all.features.shaderInt16 || !all.features.shaderInt64) return;
	if (!sizes.subgroupSizeControl || !sizes.computeFullSubgroups) return;
	f->features |= VK_HAS_COOPERATIVE;
	if (bfloat16.cooperative_matrix) f->features |= VK_HAS_BFLOAT16;
	// Their shaders are SPIR-V 1.6, which is Vulkan 1.3's, and so is maintenance4, for the size of their workgroups.
	if (f->api < VULKAN_1_3 || !matrix2.cooperativeMatrixFlexibleDimensions || !matrix2.cooperativeMatrixConversions ||
	    !matrix2.cooperativeMatrixPerElementOperations) return;
	f->features |= VK_HAS_FLEXIBLE;
	if (!matrix2.cooperativeMatrixWorkgroupScope || !matrix2.cooperativeMatrixTensorAddressing) return;
	f->features |= VK_HAS_WORKGROUP;
	describe_workgroups(gpu, f);
}

static void describe_processors(VkPhysicalDevice gpu, extensions has, vk_facts *f) {
	void *chain = NULL;
	VkPhysicalDeviceShaderCoreProperties2AMD amd = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD};
	VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
	VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM};
	if (has.amd) amd.pNext = chain, chain = &amd;
	if (has.nvidia) nvidia.pNext = chain, chain = &nvidia;
	if (has.arm) arm.pNext = chain, chain = &arm;
	VkPhysicalDeviceShaderCorePropertiesAMD registers = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD};
	if (has.amd_registers) registers.pNext = chain, chain = &registers;
	if (!chain) return;
	VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = chain};
	vkGetPhysicalDeviceProperties2(gpu, &all);
	f->processors = has.amd ? amd.activeComputeUnitCount : has.nvidia ? nvidia.shaderSMCount : arm.shaderCoreCount;
	// Some drivers count those of 32 lanes, from 1024 on: subgroups of 64 have half as many.
	f->registers = registers.vgprsPerSimd < 1024 ? registers.vgprsPerSimd : registers.vgprsPerSimd / 2;
}

static void describe_properties(VkPhysicalDevice gpu, extensions has, vk_facts *f) {
	void *chain = NULL;
	VkPhysicalDeviceMaintenance4Properties buffers = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
	VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
	if (f->api >= VULKAN_1_3) chain = &buffers;
	if (f->api >= VULKAN_1_3 || has.sizes) sizes.pNext = chain, chain = &sizes;
	VkPhysicalDeviceVulkan12Properties v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, .pNext = chain};
	VkPhysicalDeviceVulkan11Properties v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &v12};
	VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &v11};
	vkGetPhysicalDeviceProperties2(gpu, &all);
	const VkPhysicalDeviceLimits *l = &all.properties.limits;
	snprintf(f->driver, sizeof f->driver, "%s", v12.driverName);
	snprintf(f->driver_info, sizeof f->driver_info, "%s", v12.driverInfo);
	memcpy(f->cache_uuid, all.properties.pipelineCacheUUID, sizeof f->cache_uuid);
	memcpy(f->groups, l->maxComputeWorkGroupCount, sizeof f->groups);
	memcpy(f->group_size, l->maxComputeWorkGroupSize, sizeof f->group_size);
	f->invocations = l->maxComputeWorkGroupInvocations, f->shared_bytes = l->maxComputeSharedMemorySize;
	f->timestamp_ns = l->timestampPeriod;
	f->allocations = l->maxMemoryAllocationCount;
	f->allocation_bytes = v11.maxMemoryAllocationSize;
	f->buffer_bytes = buffers.maxBufferSize ? buffers.maxBufferSize : v11.maxMemoryAllocationSize;
	if (v12.shaderDenormPreserveFloat16 && v12.shaderSignedZeroInfNanPreserveFloat16 && v12.shaderRoundingModeRTEFloat16 &&
	    v12.denormBehaviorIndependence != VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE && // f32 stays as it is
	    v12.roundingModeIndependence != VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE)
		f->features |= VK_HAS_HALVES;
	if (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) f->features |= VK_HAS_SIZES;
	f->subgroup = v11.subgroupSize;
	f->subgroup_min = sizes.minSubgroupSize ? sizes.minSubgroupSize : v11.subgroupSize;
	f->subgroup_max = sizes.maxSubgroupSize ? sizes.maxSubgroupSize : v11.subgroupSize;
}

void vk_describe(uint64_t physical, vk_facts *f) {
	VkPhysicalDevice gpu = (VkPhysicalDevice)physical;
	memset(f, 0, sizeof *f);
	VkPhysicalDeviceProperties p;
	vkGetPhysicalDeviceProperties(gpu, &p);
	snprintf(f->name, sizeof f->name, "%s", p.deviceName);
	f->api = p.apiVersion, f->vendor = p.vendorID, f->device = p.deviceID, f->type = p.deviceType;
	if (f->api < VULKAN_1_2) return; // what follows would not be answered
	uint32_t n = 0;
	extensions has = {0};
	vkEnumerateDeviceExtensionProperties(gpu, NULL, &n, NULL);
	VkExtensionProperties *list = calloc(n + 1, sizeof *list);
	vkEnumerateDeviceExtensionProperties(gpu, NULL, &n, list);
	for (uint32_t i = 0; i < n; i++) {
		const char *name = list[i].extensionName;
		if (!strcmp(name, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME)) f->features |= VK_HAS_BUDGET;
		has.matrix |= !strcmp(name, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
		has.matrix2 |= !strcmp(name, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME);
		has.sizes |= !strcmp(name, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
		has.bfloat16 |= !strcmp(name, BFLOAT16_EXTENSION);
		has.amd |= !strcmp(name, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME);
		has.amd_registers |= !strcmp(name, VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME);
		has.nvidia |= !strcmp(name, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME);
		has.arm |= !strcmp(name, VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME);
	}
	free(list);
	describe_properties(gpu, has, f);
	describe_processors(gpu, has, f);
	has.matrix &= vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR != NULL;
	has.matrix2 &= vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV != NULL;
	describe_features(gpu, has, f);
	describe_memory(gpu, f);
	describe_queues(gpu, f);
}

void vk_heap_free(uint64_t physical, uint64_t *bytes) {
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
	VkPhysicalDeviceMemoryProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
	vkGetPhysicalDeviceMemoryProperties2((VkPhysicalDevice)physical, &p);
	for (uint32_t i = 0; i < p.memoryProperties.memoryHeapCount; i++) {
		uint64_t most = budget.heapBudget[i], used = budget.heapUsage[i];
		bytes[i] = most > used ? most - used : 0;
	}
}

void *vk_device_chain(uint32_t features) {
	struct chain {
		VkPhysicalDeviceFeatures2 all;
		VkPhysicalDeviceVulkan12Features v12;
		VkPhysicalDeviceVulkan11Features v11;
		VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
		VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
		bfloat16_features bfloat16;
		VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2;
		VkPhysicalDeviceMaintenance4Features maintenance4;
	} *c = calloc(1, sizeof *c);
	c->all = (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &c->v12};
	c->v12 = (VkPhysicalDeviceVulkan12Features){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = bound_features(&c->v11),
		.bufferDeviceAddress = 1, .timelineSemaphore = 1};
	c->v11 = (VkPhysicalDeviceVulkan11Features){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .storageBuffer16BitAccess = 1};
	if (!(features & VK_HAS_COOPERATIVE)) return c;
	c->all.features.shaderInt16 = c->all.features.shaderInt64 = 1;
	c->v12.shaderFloat16 = c->v12.vulkanMemoryModel = c->v12.vulkanMemoryModelDeviceScope = 1;
	c->v11.pNext = &c->sizes;
	c->sizes = (VkPhysicalDeviceSubgroupSizeControlFeatures){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, .pNext = &c->matrix,
		.subgroupSizeControl = 1, .computeFullSubgroups = 1};
	c->matrix = (VkPhysicalDeviceCooperativeMatrixFeaturesKHR){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .cooperativeMatrix = 1};
	if (features & VK_HAS_BFLOAT16) {
		c->bfloat16 = (bfloat16_features){
			.sType = (VkStructureType)BFLOAT16_FEATURES, .pNext = c->matrix.pNext, .type = 1, .cooperative_matrix = 1};
		c->matrix.pNext = &c->bfloat16;
	}
	if (!(features & VK_HAS_FLEXIBLE)) return c;
	VkBool32 workgroup = (features & VK_HAS_WORKGROUP) != 0;
	c->maintenance4 = (VkPhysicalDeviceMaintenance4Features){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES, .pNext = c->matrix.pNext, .maintenance4 = 1};
	c->matrix2 = (VkPhysicalDeviceCooperativeMatrix2FeaturesNV){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV, .pNext = &c->maintenance4,
		.cooperativeMatrixFlexibleDimensions = 1, .cooperativeMatrixConversions = 1, .cooperativeMatrixPerElementOperations = 1,
		.cooperativeMatrixWorkgroupScope = workgroup, .cooperativeMatrixTensorAddressing = workgroup};
	c->matrix.pNext = &c->matrix2;
	return c;
}

uint32_t vk_device_extensions(uint32_t features, const char *names[VK_MAX_EXTENSIONS]) {
	uint32_t n = 0;
	if (features & VK_HAS_COOPERATIVE) {
		names[n++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
		names[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
	}
	if (features & VK_HAS_BFLOAT16) names[n++] = BFLOAT16_EXTENSION;
	if (features & VK_HAS_FLEXIBLE) names[n++] = VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME;
	return bound_extensions(names, n);
}

const void *vk_timeline_chain(void) {
	static const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
	return &type;
}

const void *vk_memory_chain(void) {
	static const VkMemoryAllocateFlagsInfo flags = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
	return &flags;
}

// A table for each device: two drivers may be loaded.
#define DEVICE_FUNCTIONS(F) \
	F(vkGetBufferDeviceAddress) F(vkCreateShaderModule) F(vkDestroyShaderModule) F(vkCreateComputePipelines) \
	F(vkDestroyPipeline) F(vkCreatePipelineCache) F(vkGetPipelineCacheData) F(vkDestroyPipelineCache) \
	F(vkAllocateCommandBuffers) F(vkResetCommandPool) F(vkBeginCommandBuffer) F(vkEndCommandBuffer) \
	F(vkCmdBindPipeline) F(vkCmdPushConstants) F(vkCmdDispatch) F(vkCmdCopyBuffer) F(vkCmdPipelineBarrier) \
	F(vkCmdResetQueryPool) F(vkCmdWriteTimestamp) F(vkGetQueryPoolResults) F(vkQueueSubmit) \
	F(vkWaitSemaphores) F(vkGetSemaphoreCounterValue)

#define FIELD(name) PFN_##name name;
struct vk_device {
	VkDevice handle;
	VkQueue queue;
	VkSemaphore timeline;
	VkPipelineLayout layout;
	bound *bound; // NULL but in the tests' build
	VkPipelineCache cache;
	VkCommandPool pools[VK_SLOTS];
	VkQueryPool queries[VK_SLOTS]; // NULL without timestamps
	VkCommandBuffer buffers[VK_SLOTS];
	VkQueue transfer_queue; // may be the same
	VkSemaphore transfer_timeline;
	VkCommandPool transfer_pools[VK_TRANSFERS];
	VkCommandBuffer transfer_buffers[VK_TRANSFERS];
	DEVICE_FUNCTIONS(FIELD)
};

static VkResult command_buffer(vk_device *d, VkCommandPool pool, VkCommandBuffer *cb) {
	VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1};
	return d->vkAllocateCommandBuffers(d->handle, &info, cb);
}

int vk_device_new(const vk_handles *h, vk_device **device) {
	vk_device *d = calloc(1, sizeof *d);
	if (!d) return VK_ERROR_OUT_OF_HOST_MEMORY;
	d->handle = (VkDevice)h->device, d->queue = (VkQueue)h->queue;
	d->timeline = (VkSemaphore)h->timeline, d->layout = (VkPipelineLayout)h->layout;
#define FETCH(name) d->name = (PFN_##name)vkGetDeviceProcAddr(d->handle, #name);
	DEVICE_FUNCTIONS(FETCH)
	d->transfer_queue = (VkQueue)h->transfer_queue, d->transfer_timeline = (VkSemaphore)h->transfer_timeline;
	VkResult r = 0;
	for (int i = 0; !r && i < VK_SLOTS; i++) {
		d->pools[i] = (VkCommandPool)h->pools[i], d->queries[i] = (VkQueryPool)h->queries[i];
		r = command_buffer(d, d->pools[i], &d->buffers[i]);
	}
	for (int i = 0; !r && i < VK_TRANSFERS; i++) {
		d->transfer_pools[i] = (VkCommandPool)h->transfer_pools[i];
		r = command_buffer(d, d->transfer_pools[i], &d->transfer_buffers[i]);
	}
	if (!r) r = bound_new(d->handle, vkGetDeviceProcAddr, &d->layout, &d->bound);
	if (r) {
		free(d);
		return r;
	}
	*device = d;
	return 0;
}

void vk_device_free(vk_device *d) {
	if (d->cache) d->vkDestroyPipelineCache(d->handle, d->cache, NULL);
	bound_free(d->bound);
	free(d); // the pools free the command buffers
}

uint64_t vk_address(vk_device *d, uint64_t buffer) {
	VkBufferDeviceAddressInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = (VkBuffer)buffer};
	return d->vkGetBufferDeviceAddress(d->handle, &info);
}

int vk_cache_load(vk_device *d, const void *data, uint64_t bytes) {
	VkPipelineCacheCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = bytes, .pInitialData = data};
	return d->vkCreatePipelineCache(d->handle, &info, NULL, &d->cache);
}

int vk_cache_save(vk_device *d, void *data, uint64_t *bytes) {
	size_t n = *bytes;
	VkResult r = d->vkGetPipelineCacheData(d->handle, d->cache, &n, data);
	*bytes = n;
	return r;
}

int vk_pipeline(vk_device *d, const void *code, uint64_t bytes, const uint32_t *constants, uint32_t n,
                int full, uint32_t subgroup, uint64_t *pipeline) {
	VkSpecializationMapEntry entries[64]; // entry i is constant i: validation layers until 1.4.309 take it so for matrices
	if (n > 64) return VK_ERROR_INITIALIZATION_FAILED;
	for (uint32_t i = 0; i < n; i++) entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
	VkSpecializationInfo special = {n, entries, 4 * n, constants};
	VkShaderModuleCreateInfo shader = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = code};
	VkShaderModule module;
	VkResult r = d->vkCreateShaderModule(d->handle, &shader, NULL, &module);
	if (r) return r;
	VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, .requiredSubgroupSize = subgroup};
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = {
			.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .pNext = subgroup ? &size : NULL,
			.flags = full ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0, .stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module, .pName = "main", .pSpecializationInfo = &special},
		.layout = d->layout,
	};
	VkPipeline p = NULL;
	r = d->vkCreateComputePipelines(d->handle, d->cache, 1, &info, NULL, &p);
	d->vkDestroyShaderModule(d->handle, module, NULL);
	*pipeline = (uint64_t)p;
	return r;
}

void vk_pipeline_free(vk_device *d, uint64_t pipeline) { d->vkDestroyPipeline(d->handle, (VkPipeline)pipeline, NULL); }

enum {
	WORK = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
	WRITES = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
	READS = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT,
};

static void barrier(vk_device *d, VkCommandBuffer cb, VkPipelineStageFlags stage, VkAccessFlags access) {
	VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = WRITES, .dstAccessMask = access};
	d->vkCmdPipelineBarrier(cb, WORK, stage, 0, 1, &b, 0, NULL, 0, NULL);
}

static void record(vk_device *d, VkCommandBuffer cb, const vk_command *c) {
	switch (c->kind) {
	case 0:
		barrier(d, cb, WORK, READS | WRITES);
		break;
	case 1:
		d->vkCmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, (VkPipeline)c->pipeline);
		d->vkCmdPushConstants(cb, d->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, c->push_bytes, c->push);
		bound_arguments(d->bound, cb, c);
		d->vkCmdDispatch(cb, c->groups[0], c->groups[1], c->groups[2]);
		break;
	case 2: {
		VkBufferCopy copy = {c->from_at, c->to_at, c->size};
		d->vkCmdCopyBuffer(cb, (VkBuffer)c->from, (VkBuffer)c->to, 1, &copy);
	}
	}
}

// begin starts to record anew.
static VkResult begin(vk_device *d, VkCommandPool pool, VkCommandBuffer cb) {
	VkResult r = d->vkResetCommandPool(d->handle, pool, 0);
	VkCommandBufferBeginInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
	return r ? r : d->vkBeginCommandBuffer(cb, &info);
}

// A point of a timeline; value 0 is passed at once.
typedef struct {
	VkSemaphore timeline;
	uint64_t value;
} point;

// submit hands a command buffer to a queue; its work of these stages comes behind a point, and it reaches another.
static VkResult submit(vk_device *d, VkQueue queue, VkCommandBuffer cb, point from, VkPipelineStageFlags stages, point to) {
	VkTimelineSemaphoreSubmitInfo timelines = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO, .waitSemaphoreValueCount = from.value != 0,
		.pWaitSemaphoreValues = &from.value, .signalSemaphoreValueCount = 1, .pSignalSemaphoreValues = &to.value};
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &timelines, .waitSemaphoreCount = from.value != 0,
		.pWaitSemaphores = &from.timeline, .pWaitDstStageMask = &stages, .commandBufferCount = 1, .pCommandBuffers = &cb,
		.signalSemaphoreCount = 1, .pSignalSemaphores = &to.timeline};
	return d->vkQueueSubmit(queue, 1, &info, NULL);
}

int vk_submit(vk_device *d, uint32_t slot, const vk_command *commands, uint32_t n, uint64_t after, uint64_t value,
              int stamps) {
	VkCommandBuffer cb = d->buffers[slot];
	VkQueryPool queries = d->queries[slot];
	VkResult r = begin(d, d->pools[slot], cb);
	if (r) return r;
	uint32_t query = 0;
	if (queries) {
		d->vkCmdResetQueryPool(cb, queries, 0, stamps ? n + 1 : 2);
		d->vkCmdWriteTimestamp(cb, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, queries, query++);
	}
	barrier(d, cb, WORK, READS | WRITES); // behind the submission before
	for (uint32_t i = 0; i < n; i++) {
		record(d, cb, &commands[i]);
		if (queries && (stamps || i == n - 1))
			d->vkCmdWriteTimestamp(cb, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, query++);
	}
	barrier(d, cb, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
	if ((r = d->vkEndCommandBuffer(cb))) return r;
	return submit(d, d->queue, cb, (point){d->transfer_timeline, after}, WORK, (point){d->timeline, value});
}

int vk_stamps(vk_device *d, uint32_t slot, uint32_t n, uint64_t *ticks) {
	return d->vkGetQueryPoolResults(d->handle, d->queries[slot], 0, n, 8 * (size_t)n, ticks, 8, VK_QUERY_RESULT_64_BIT);
}

int vk_transfer(vk_device *d, uint32_t slot, const vk_command *copy, uint64_t after, uint64_t value) {
	VkCommandBuffer cb = d->transfer_buffers[slot];
	VkResult r = begin(d, d->transfer_pools[slot], cb);
	if (r) return r;
	record(d, cb, copy); // semaphores order it: it needs no barriers
	if ((r = d->vkEndCommandBuffer(cb))) return r;
	return submit(d, d->transfer_queue, cb, (point){d->timeline, after}, VK_PIPELINE_STAGE_TRANSFER_BIT,
	              (point){d->transfer_timeline, value});
}

static VkSemaphore timeline(vk_device *d, int transfers) { return transfers ? d->transfer_timeline : d->timeline; }

int vk_wait(vk_device *d, int transfers, uint64_t value, uint64_t ns) {
	VkSemaphore s = timeline(d, transfers);
	VkSemaphoreWaitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1, .pSemaphores = &s, .pValues = &value};
	return d->vkWaitSemaphores(d->handle, &info, ns);
}

int vk_reached(vk_device *d, int transfers, uint64_t *value) {
	return d->vkGetSemaphoreCounterValue(d->handle, timeline(d, transfers), value);
}
