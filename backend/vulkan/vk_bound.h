// The tests' build that binds arguments to descriptors (bound.go, -DBOUND). In all others these do nothing.
#ifndef AGORA_VK_BOUND_H
#define AGORA_VK_BOUND_H

#include "vk.h"
#include "vulkan_trimmed.h"

typedef struct bound bound; // of a device

#ifdef BOUND
void *bound_features(void *next);                          // pNext of a device, before next
uint32_t bound_extensions(const char **names, uint32_t n); // appends to n names; their number
VkResult bound_new(VkDevice device, PFN_vkGetDeviceProcAddr get, VkPipelineLayout *layout, bound **b);
void bound_free(bound *b);
void bound_arguments(bound *b, VkCommandBuffer cb, const vk_command *c);
#else
#define bound_features(next) (next)
#define bound_extensions(names, n) (n)
#define bound_new(device, get, layout, b) VK_SUCCESS
#define bound_free(b) (void)0
#define bound_arguments(b, cb, c) (void)0
#endif

#endif
