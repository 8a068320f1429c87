//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan

// #cgo linux LDFLAGS: -ldl
// #cgo vulkan_bindings CFLAGS: -DBOUND
// #include <stdlib.h>
// #include "vk.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Compiled reports whether this binary has the Vulkan backend at all.
const Compiled = true

// ValidateVariable names the environment variable that, set to 1, runs everything under
// the validation layer: what it says becomes an error of Flush, Read and Close.
const ValidateVariable = "AGORA_VULKAN_VALIDATE"

const validationLayer = "VK_LAYER_KHRONOS_validation"

// instance is the one of the process, which stays: vulkan-go keeps its functions in globals.
var instance = sync.OnceValues(newInstance)

func newInstance() (vk.Instance, error) {
	why := make([]byte, 512)
	load := C.vk_load((*C.char)(unsafe.Pointer(&why[0])), C.int(len(why)))
	if load == nil {
		return nil, fmt.Errorf("there is no Vulkan: %s", text(why))
	}
	if version := uint32(C.vk_instance_version()); version < C.VULKAN_1_2 {
		return nil, fmt.Errorf("the Vulkan loader is version %s, want 1.2", versionName(version))
	}
	vk.SetGetInstanceProcAddr(load)
	if err := vk.Init(); err != nil {
		return nil, err
	}
	create := &vk.InstanceCreateInfo{
		SType: vk.StructureTypeInstanceCreateInfo,
		PApplicationInfo: &vk.ApplicationInfo{
			SType: vk.StructureTypeApplicationInfo, PEngineName: "Agora\x00",
			ApiVersion: C.VULKAN_1_3, // the newest that any kernel uses
		},
	}
	if validating() {
		name := C.CString(validationLayer)
		found := C.vk_has_layer(name)
		C.free(unsafe.Pointer(name))
		if found == 0 {
			return nil, fmt.Errorf("%s=1, but there is no layer %s", ValidateVariable, validationLayer)
		}
		create.PNext = unsafe.Pointer(C.vk_messages_chain())
		create.EnabledLayerCount, create.PpEnabledLayerNames = 1, []string{validationLayer + "\x00"}
		create.EnabledExtensionCount, create.PpEnabledExtensionNames = 1, []string{"VK_EXT_debug_utils\x00"}
	}
	var handle vk.Instance
	r := vk.CreateInstance(create, nil, &handle)
	create.Free()
	if r != vk.Success {
		return nil, failure("vkCreateInstance", int(r))
	}
	if err := vk.InitInstance(handle); err != nil {
		return nil, err
	}
	C.vk_instance_functions(id(handle))
	if validating() {
		if r := C.vk_messages_start(id(handle)); r != 0 {
			return nil, failure("vkCreateDebugUtilsMessengerEXT", int(r))
		}
	}
	return handle, nil
}

// asksForWorkgroups says whether the environment does what Options.WorkgroupMatrices does.
func asksForWorkgroups() bool { return os.Getenv(WorkgroupMatricesVariable) == "1" }

func validating() bool { return os.Getenv(ValidateVariable) == "1" }

// messages takes what the validation layer has said, as an error.
func messages() error {
	if !validating() {
		return nil
	}
	b := make([]byte, 1<<16)
	if n := C.vk_messages((*C.char)(unsafe.Pointer(&b[0])), C.int(len(b))); n > 0 {
		return errors.New("validation: " + string(b[:n]))
	}
	return nil
}

// id is a handle for C: vulkan-go's are pointers.
func id[H any](h H) C.uint64_t { return C.uint64_t(*(*uintptr)(unsafe.Pointer(&h))) }

func versionName(v uint32) string { return fmt.Sprintf("%d.%d.%d", v>>22&0x7f, v>>12&0x3ff, v&0xfff) }

// physicalDevices are the handles and the facts of every device.
func physicalDevices() ([]vk.PhysicalDevice, []C.vk_facts, error) {
	in, err := instance()
	if err != nil {
		return nil, nil, err
	}
	var n uint32
	if r := vk.EnumeratePhysicalDevices(in, &n, nil); r != vk.Success {
		return nil, nil, failure("vkEnumeratePhysicalDevices", int(r))
	}
	if n == 0 {
		return nil, nil, errors.New("there is no Vulkan device: the loader found no driver")
	}
	list := make([]vk.PhysicalDevice, n)
	if r := vk.EnumeratePhysicalDevices(in, &n, list); r != vk.Success && r != vk.Incomplete {
		return nil, nil, failure("vkEnumeratePhysicalDevices", int(r))
	}
	list = list[:n]
	facts := make([]C.vk_facts, n)
	for i, p := range list {
		C.vk_describe(id(p), &facts[i])
	}
	return list, facts, nil
}

// Devices lists the devices of this machine, whether they can be used or not.
func Devices() ([]Info, error) {
	list, facts, err := physicalDevices()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(list))
	for i := range list {
		infos[i] = describe(i, list[i], &facts[i])
	}
	return infos, nil
}

// describe says in words what C found.
func describe(index int, handle vk.PhysicalDevice, f *C.vk_facts) Info {
	has := func(feature C.uint32_t) bool { return f.features&feature != 0 }
	info := Info{
		Index: index, Name: C.GoString(&f.name[0]), Kind: KindOther, API: versionName(uint32(f.api)), Free: -1,
		Driver:    C.GoString(&f.driver[0]) + " " + C.GoString(&f.driver_info[0]),
		Subgroup:  [3]int{int(f.subgroup), int(f.subgroup_min), int(f.subgroup_max)},
		Storage16: has(C.VK_HAS_STORAGE16), Storage8: has(C.VK_HAS_STORAGE8), Float16: has(C.VK_HAS_FLOAT16),
		BFloat16: has(C.VK_HAS_BFLOAT16), Int8: has(C.VK_HAS_INT8), Timestamps: has(C.VK_HAS_TIMESTAMPS),
		Halves: halvesByIntegers, Processors: int(f.processors), Limits: limitsOf(f), Cooperative: []string{}, Workgroups: []string{},
		Alternatives: []string{}, OnRequest: []string{}, Missing: []string{},
	}
	if int(f._type) < len(kinds) {
		info.Kind = kinds[f._type]
	}
	if info.Kind == KindCPU {
		info.Processors = runtime.NumCPU()
	}
	if has(C.VK_HAS_HALVES) {
		info.Halves = halvesByConversion
	}
	if f.api < C.VULKAN_1_2 {
		info.Missing = append(info.Missing, "Vulkan 1.2 (it has "+info.API+")")
		return info
	}
	for _, need := range []struct {
		feature C.uint32_t
		name    string
	}{
		{C.VK_HAS_ADDRESSES, "buffer device addresses"}, {C.VK_HAS_TIMELINES, "timeline semaphores"},
		{C.VK_HAS_STORAGE16, "16-bit storage"}, {C.VK_HAS_COMPUTE, "a queue that computes"},
	} {
		if !has(need.feature) {
			info.Missing = append(info.Missing, need.name)
		}
	}
	info.transfers, info.Streams = transferQueue(queueFamilies(f), int(f.family))
	if t := memoryType(f, false, allTypes); t >= 0 {
		if info.sharesMemory(uint32(f.type_flags[t])) {
			info.Streams = StreamsShared
		}
		heap := f.type_heap[t]
		info.Memory = int(f.heap_bytes[heap])
		if has(C.VK_HAS_BUDGET) {
			info.Free = heapFree(handle, heap)
		}
	}
	const subgroupScope = 3 // VK_SCOPE_SUBGROUP_KHR
	for _, s := range f.shape[:f.shapes] {
		if s.scope != subgroupScope && s.invocations == 0 {
			continue
		}
		m := matrix{int(s.m), int(s.n), int(s.k), componentName(uint32(s.a)), componentName(uint32(s.b)),
			componentName(uint32(s.c))}
		usable := haveAlternatives && s.c == s.result && has(C.VK_HAS_COOPERATIVE) &&
			(m.a != "bf16" || has(C.VK_HAS_BFLOAT16))
		if s.invocations > 0 {
			g := granules{m, int(s.invocations), int(f.flexible_most)}
			info.Workgroups = append(info.Workgroups, g.String())
			if usable && s.invocations <= f.flexible_invocations {
				info.workgroups = append(info.workgroups, g)
			}
			continue
		}
		info.Cooperative = append(info.Cooperative, m.String())
		if usable {
			info.matrices = append(info.matrices, m)
		}
	}
	info.flexible = has(C.VK_HAS_FLEXIBLE)
	info.Limits.Narrow = narrowSubgroup(has(asksForSizes), info.Subgroup, info.Cooperative)
	info.choose(asksForWorkgroups())
	return info
}

func queueFamilies(f *C.vk_facts) (list []queueFamily) {
	for i, flags := range f.family_flags[:f.families] {
		list = append(list, queueFamily{uint32(flags), int(f.family_queues[i])})
	}
	return list
}

func limitsOf(f *C.vk_facts) Limits {
	return Limits{
		Groups:      [3]int{int(f.groups[0]), int(f.groups[1]), int(f.groups[2])},
		Invocations: int(min(f.invocations, f.group_size[0])), Shared: int(f.shared_bytes),
		// Drivers round a block up: the largest is not asked for to the last byte.
		Allocation: int(min(f.allocation_bytes, f.buffer_bytes, 1<<62)) &^ (1<<16 - 1), Allocations: int(f.allocations),
		Registers: int(f.registers),
	}
}

// allTypes are the bits of every memory type.
const allTypes = 1<<C.VK_MAX_TYPES - 1

// memoryType is the best of these types of memory (a bit each) for tensors, or for what the host
// reads and writes; -1 where there is none. Among equals the driver's order counts.
func memoryType(f *C.vk_facts, host bool, types uint32) int {
	const deviceLocal, visible, coherent, cached = 1, 2, 4, 8
	best, most := -1, -1
	for i, flags := range f.type_flags[:f.types] {
		score := 0
		switch {
		case types>>i&1 == 0:
			continue
		case flags&^(deviceLocal|visible|coherent|cached) != 0: // protected, lazily allocated, not coherent on its own
			continue
		case host && flags&(visible|coherent) != visible|coherent:
			continue
		case host && flags&cached != 0:
			score = 2
		case !host && flags&deviceLocal != 0:
			score = 2
		}
		if host && flags&deviceLocal == 0 || !host && flags&visible == 0 {
			score++ // memory that both sides want is scarce on some cards
		}
		if score > most {
			best, most = i, score
		}
	}
	return best
}

func heapFree(handle vk.PhysicalDevice, heap C.uint32_t) int {
	var free [C.VK_MAX_HEAPS]C.uint64_t
	C.vk_heap_free(id(handle), &free[0])
	return int(min(free[heap], 1<<62))
}

// text is a C string in a slice.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
