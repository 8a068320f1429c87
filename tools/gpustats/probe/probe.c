// probe: compile compute pipelines on the first Vulkan device and write what the driver's compiler says of them.
//
//	probe FOLDER
//
// reads FOLDER/pipelines, whose lines are NAME SPV SUBGROUP ID=VALUE... (SUBGROUP: invocations of one, 0 for any), and
// writes FOLDER/NAME.txt: a line "NUMBER<tab>statistic" each, then the compiler's representations, which end with the
// device's instructions. The names of statistics are the driver's own.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>
#ifndef VK_KHR_shader_bfloat16 // headers before 1.4.313
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR ((VkStructureType)1000141000)
typedef struct { VkStructureType sType; void *pNext; VkBool32 type, dot, matrix; }
	VkPhysicalDeviceShaderBfloat16FeaturesKHR;
#endif

#define DIE(...) (fprintf(stderr, "probe: " __VA_ARGS__), fputc('\n', stderr), exit(1))
#define CHECK(call) do { VkResult r_ = call; if (r_ < 0) DIE("%s: %d", #call, r_); } while (0)
#define LEN(a) (sizeof(a) / sizeof *(a))

enum { PUSH_BYTES = 256, BUFFERS = 12, CONSTANTS = 64, STATISTICS = 64, TEXTS = 16 };

static PFN_vkGetInstanceProcAddr of_instance;
static VkInstance instance;
static VkDevice device;
#define INSTANCE(name) PFN_##name name = (PFN_##name)of_instance(instance, #name); if (!name) DIE("no " #name)
#define DEVICE(name) static PFN_##name name; \
	if (!name && !(name = (PFN_##name)of_device(device, #name))) DIE("no " #name)
static PFN_vkGetDeviceProcAddr of_device;

// What shaders may need, of which the device gets all that it has.
static const char *const wanted[] = {
	"VK_KHR_pipeline_executable_properties", "VK_KHR_cooperative_matrix", "VK_KHR_shader_bfloat16"};

// open_device opens the first device with all its features.
static void open_device(void) {
	void *library = dlopen("libvulkan.so.1", RTLD_NOW);
	if (!library) DIE("%s", dlerror());
	of_instance = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
	INSTANCE(vkCreateInstance);
	VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3};
	VkInstanceCreateInfo create = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
	CHECK(vkCreateInstance(&create, NULL, &instance));
	INSTANCE(vkEnumeratePhysicalDevices);
	INSTANCE(vkGetPhysicalDeviceFeatures2);
	INSTANCE(vkEnumerateDeviceExtensionProperties);
	INSTANCE(vkCreateDevice);
	of_device = (PFN_vkGetDeviceProcAddr)of_instance(instance, "vkGetDeviceProcAddr");
	VkPhysicalDevice gpu;
	uint32_t count = 1;
	CHECK(vkEnumeratePhysicalDevices(instance, &count, &gpu));
	if (!count) DIE("there is no device");

	static VkExtensionProperties has[1024];
	count = LEN(has);
	CHECK(vkEnumerateDeviceExtensionProperties(gpu, NULL, &count, has));
	VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable =
		{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
	VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix =
		{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
	VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
	VkBaseOutStructure *features[] = {(void *)&executable, (void *)&matrix, (void *)&bfloat};
	VkPhysicalDeviceVulkan13Features v13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
	VkPhysicalDeviceVulkan12Features v12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v13};
	VkPhysicalDeviceVulkan11Features v11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &v12};
	VkPhysicalDeviceFeatures2 all = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
	const char *extensions[LEN(wanted)];
	uint32_t extended = 0;
	for (size_t w = 0; w < LEN(wanted); w++)
		for (uint32_t e = 0; e < count; e++)
			if (!strcmp(has[e].extensionName, wanted[w])) {
				extensions[extended++] = wanted[w];
				features[w]->pNext = v13.pNext;
				v13.pNext = features[w];
			}
	vkGetPhysicalDeviceFeatures2(gpu, &all);
	if (!executable.pipelineExecutableInfo) DIE("the driver tells nothing of its pipelines");
	all.features.robustBufferAccess = 0;
	float priority = 1;
	VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1,
		.pQueuePriorities = &priority};
	VkDeviceCreateInfo open = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &all, .queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue, .enabledExtensionCount = extended, .ppEnabledExtensionNames = extensions};
	CHECK(vkCreateDevice(gpu, &open, NULL, &device));
}

// compile makes one pipeline, which is told to keep what its compiler knows.
static VkPipeline compile(const char *name, const char *spv, uint32_t subgroup, uint32_t constants, const uint32_t *ids,
		const uint32_t *values) {
	DEVICE(vkCreateShaderModule);
	DEVICE(vkCreateDescriptorSetLayout);
	DEVICE(vkCreatePipelineLayout);
	DEVICE(vkCreateComputePipelines);
	static uint32_t code[1 << 20];
	FILE *f = fopen(spv, "rb");
	if (!f) DIE("%s: cannot open %s", name, spv);
	VkShaderModuleCreateInfo create = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = fread(code, 1, sizeof code, f), .pCode = code};
	fclose(f);
	VkShaderModule module;
	CHECK(vkCreateShaderModule(device, &create, NULL, &module));
	VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, PUSH_BYTES};
	VkDescriptorSetLayoutBinding buffers[BUFFERS]; // of other programs; Agora's arguments are addresses
	for (uint32_t b = 0; b < BUFFERS; b++)
		buffers[b] = (VkDescriptorSetLayoutBinding){b, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT,
			NULL};
	VkDescriptorSetLayoutCreateInfo bind = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = BUFFERS,
		.pBindings = buffers};
	VkDescriptorSetLayout set;
	CHECK(vkCreateDescriptorSetLayout(device, &bind, NULL, &set));
	VkPipelineLayoutCreateInfo arguments = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1,
		.pSetLayouts = &set, .pushConstantRangeCount = 1, .pPushConstantRanges = &push};
	VkPipelineLayout layout;
	CHECK(vkCreatePipelineLayout(device, &arguments, NULL, &layout));
	VkSpecializationMapEntry entries[CONSTANTS];
	for (uint32_t i = 0; i < constants; i++) entries[i] = (VkSpecializationMapEntry){ids[i], 4 * i, 4};
	VkSpecializationInfo special = {constants, entries, 4 * constants, values};
	VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size =
		{VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, .requiredSubgroupSize = subgroup};
	VkComputePipelineCreateInfo make = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR,
		.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .pNext = subgroup ? &size : NULL,
			.flags = subgroup ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = module, .pName = "main", .pSpecializationInfo = &special},
		.layout = layout};
	VkPipeline p;
	VkResult r = vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &make, NULL, &p);
	if (r) DIE("%s: vkCreateComputePipelines: %d", name, r);
	return p;
}

// statistics writes the numbers of an executable.
static void statistics(FILE *out, const VkPipelineExecutableInfoKHR *executable) {
	DEVICE(vkGetPipelineExecutableStatisticsKHR);
	VkPipelineExecutableStatisticKHR s[STATISTICS];
	for (uint32_t i = 0; i < STATISTICS; i++)
		s[i] = (VkPipelineExecutableStatisticKHR){VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
	uint32_t count = STATISTICS;
	CHECK(vkGetPipelineExecutableStatisticsKHR(device, executable, &count, s));
	for (uint32_t i = 0; i < count; i++) {
		if (s[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR) fprintf(out, "%.0f", s[i].value.f64);
		else if (s[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR) fprintf(out, "%u", s[i].value.b32);
		else fprintf(out, "%llu", (unsigned long long)s[i].value.u64);
		fprintf(out, "\t%s\n", s[i].name);
	}
}

// representations writes the texts of an executable, each behind its name.
static void representations(FILE *out, const VkPipelineExecutableInfoKHR *executable) {
	DEVICE(vkGetPipelineExecutableInternalRepresentationsKHR);
	VkPipelineExecutableInternalRepresentationKHR text[TEXTS] = {0};
	for (uint32_t i = 0; i < TEXTS; i++)
		text[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
	uint32_t count = TEXTS;
	CHECK(vkGetPipelineExecutableInternalRepresentationsKHR(device, executable, &count, text)); // their sizes
	for (uint32_t i = 0; i < count; i++) text[i].pData = calloc(1, text[i].dataSize + 1);
	CHECK(vkGetPipelineExecutableInternalRepresentationsKHR(device, executable, &count, text));
	for (uint32_t i = 0; i < count; i++) {
		fprintf(out, "##### %s\n%s\n", text[i].name, (char *)text[i].pData);
		free(text[i].pData);
	}
}

int main(int argc, char **argv) {
	if (argc != 2) DIE("usage: probe FOLDER");
	open_device();
	static char path[4096], line[1 << 16];
	snprintf(path, sizeof path, "%s/pipelines", argv[1]);
	FILE *list = fopen(path, "r");
	if (!list) DIE("cannot open %s", path);
	while (fgets(line, sizeof line, list)) {
		char *name = strtok(line, " \n"), *spv = strtok(NULL, " \n"), *subgroup = strtok(NULL, " \n");
		if (!subgroup) DIE("a line of %s: want NAME SPV SUBGROUP ID=VALUE...", path);
		uint32_t ids[CONSTANTS], values[CONSTANTS], n = 0;
		for (char *word; n < CONSTANTS && (word = strtok(NULL, " \n")); n++)
			if (sscanf(word, "%u=%u", &ids[n], &values[n]) != 2) DIE("%s: %s: want ID=VALUE", name, word);
		VkPipeline p = compile(name, spv, (uint32_t)atoi(subgroup), n, ids, values);
		static char file[8192];
		snprintf(file, sizeof file, "%s/%s.txt", argv[1], name);
		FILE *out = fopen(file, "w");
		if (!out) DIE("cannot write %s", file);
		VkPipelineExecutableInfoKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = p};
		statistics(out, &executable);
		representations(out, &executable);
		if (fclose(out)) DIE("cannot write %s", file);
	}
	return 0;
}
