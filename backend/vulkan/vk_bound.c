//go:build vulkan_bindings && cgo && (linux || windows || moltenvk) && (amd64 || arm64)

#include "vk_bound.h"

#include <stdlib.h>

// A nil argument is a null descriptor, which no kernel can be seen to touch.
void *bound_features(void *next) {
	static VkPhysicalDeviceRobustness2FeaturesEXT robustness = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT, .nullDescriptor = 1};
	robustness.pNext = next;
	return &robustness;
}

uint32_t bound_extensions(const char **names, uint32_t n) {
	names[n++] = VK_EXT_ROBUSTNESS_2_EXTENSION_NAME;
	names[n++] = VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME;
	return n;
}

#define FUNCTIONS(F) \
	F(vkCreateDescriptorSetLayout) F(vkDestroyDescriptorSetLayout) F(vkCreatePipelineLayout) F(vkDestroyPipelineLayout) \
	F(vkCmdPushDescriptorSetKHR)

#define FIELD(name) PFN_##name name;
struct bound {
	VkDevice device;
	VkDescriptorSetLayout set;
	VkPipelineLayout layout;
	FUNCTIONS(FIELD)
};

// One layout for all kernels: storage buffer i is argument i.
VkResult bound_new(VkDevice device, PFN_vkGetDeviceProcAddr get, VkPipelineLayout *layout, bound **out) {
	bound *b = *out = calloc(1, sizeof *b);
	if (!b) return VK_ERROR_OUT_OF_HOST_MEMORY;
	b->device = device;
#define FETCH(name) b->name = (PFN_##name)get(device, #name);
	FUNCTIONS(FETCH)
	VkDescriptorSetLayoutBinding bindings[VK_BINDINGS];
	for (uint32_t i = 0; i < VK_BINDINGS; i++)
		bindings[i] = (VkDescriptorSetLayoutBinding){
			.binding = i, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .descriptorCount = 1, .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
	VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT,
		.bindingCount = VK_BINDINGS, .pBindings = bindings};
	VkResult r = b->vkCreateDescriptorSetLayout(device, &set, NULL, &b->set);
	VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = VK_PUSH_BYTES};
	VkPipelineLayoutCreateInfo all = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &b->set,
		.pushConstantRangeCount = 1, .pPushConstantRanges = &push};
	if (!r) r = b->vkCreatePipelineLayout(device, &all, NULL, &b->layout);
	*layout = b->layout;
	return r;
}

void bound_free(bound *b) {
	b->vkDestroyPipelineLayout(b->device, b->layout, NULL);
	b->vkDestroyDescriptorSetLayout(b->device, b->set, NULL);
	free(b);
}

void bound_arguments(bound *b, VkCommandBuffer cb, const vk_command *c) {
	VkDescriptorBufferInfo buffers[VK_BINDINGS];
	VkWriteDescriptorSet writes[VK_BINDINGS];
	for (uint32_t i = 0; i < c->bindings; i++) {
		const vk_binding *a = &c->binding[i];
		buffers[i] = (VkDescriptorBufferInfo){(VkBuffer)a->buffer, a->at, a->buffer ? a->size : VK_WHOLE_SIZE};
		writes[i] = (VkWriteDescriptorSet){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstBinding = i, .descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .pBufferInfo = &buffers[i]};
	}
	b->vkCmdPushDescriptorSetKHR(cb, VK_PIPELINE_BIND_POINT_COMPUTE, b->layout, 0, c->bindings, writes);
}
