//go:build cgo && linux && (amd64 || arm64)

package vulkantest

// #cgo LDFLAGS: -ldl
// #include "vk.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"

	"github.com/agora-ml/agora/shaders"
)

// device is the first Vulkan device with one queue and one block of memory that both sides see.
type device struct {
	name   string
	handle vk.Device
	queue  vk.Queue
	pool   vk.CommandPool
	memory []byte // the block
	base   uint64 // its address on the device
}

// id is a handle for C: vulkan-go's are pointers.
func id[H any](h H) C.uint64_t { return C.uint64_t(*(*uintptr)(unsafe.Pointer(&h))) }

func check(what string, r vk.Result) error {
	if err := vk.Error(r); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// messages is everything that the validation layer has said so far.
func messages() string { return C.GoString(C.vk_messages()) }

// open makes a device with size bytes of memory, under the validation layer.
func open(size int) (*device, error) {
	load := C.vk_load()
	if load == nil {
		return nil, errors.New(C.GoString(C.vk_load_error()))
	}
	vk.SetGetInstanceProcAddr(load)
	if err := vk.Init(); err != nil {
		return nil, err
	}
	var instance vk.Instance
	err := check("vkCreateInstance", vk.CreateInstance(&vk.InstanceCreateInfo{
		SType: vk.StructureTypeInstanceCreateInfo, PNext: unsafe.Pointer(C.vk_messages_chain()),
		PApplicationInfo:  &vk.ApplicationInfo{SType: vk.StructureTypeApplicationInfo, ApiVersion: vk.MakeVersion(1, 2, 0)},
		EnabledLayerCount: 1, PpEnabledLayerNames: []string{"VK_LAYER_KHRONOS_validation\x00"},
		EnabledExtensionCount: 1, PpEnabledExtensionNames: []string{"VK_EXT_debug_utils\x00"},
	}, nil, &instance))
	if err != nil {
		return nil, err
	}
	if err := vk.InitInstance(instance); err != nil {
		return nil, err
	}
	if r := C.vk_messages_start(id(instance)); r != 0 {
		return nil, check("vkCreateDebugUtilsMessengerEXT", vk.Result(r))
	}
	count := uint32(1)
	list := make([]vk.PhysicalDevice, count)
	if r := vk.EnumeratePhysicalDevices(instance, &count, list); count == 0 || r != vk.Success && r != vk.Incomplete {
		return nil, fmt.Errorf("%d devices, vkEnumeratePhysicalDevices returned %d", count, r)
	}
	var properties vk.PhysicalDeviceProperties
	vk.GetPhysicalDeviceProperties(list[0], &properties)
	properties.Deref()
	d := &device{name: vk.ToString(properties.DeviceName[:])}
	if err := d.create(list[0]); err != nil {
		return nil, err
	}
	return d, d.allocate(size)
}

// create makes the logical device. Queue family 0 can compute on every driver known.
func (d *device) create(physical vk.PhysicalDevice) error {
	var handle vk.Device // a local: &d.handle would show cgo a struct that holds Go pointers
	err := check("vkCreateDevice", vk.CreateDevice(physical, &vk.DeviceCreateInfo{
		SType: vk.StructureTypeDeviceCreateInfo, PNext: C.vk_device_chain(),
		QueueCreateInfoCount: 1,
		PQueueCreateInfos: []vk.DeviceQueueCreateInfo{{
			SType: vk.StructureTypeDeviceQueueCreateInfo, QueueCount: 1, PQueuePriorities: []float32{1},
		}},
	}, nil, &handle))
	if err != nil {
		return err
	}
	var queue vk.Queue
	vk.GetDeviceQueue(handle, 0, 0, &queue)
	var pool vk.CommandPool
	err = check("vkCreateCommandPool", vk.CreateCommandPool(handle, &vk.CommandPoolCreateInfo{SType: vk.StructureTypeCommandPoolCreateInfo}, nil, &pool))
	d.handle, d.queue, d.pool = handle, queue, pool
	return err
}

// allocate makes the block of memory: one buffer, mapped, with an address.
func (d *device) allocate(size int) error {
	const addressable = 0x20000 // VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT, newer than the binding
	var buffer vk.Buffer
	err := check("vkCreateBuffer", vk.CreateBuffer(d.handle, &vk.BufferCreateInfo{
		SType: vk.StructureTypeBufferCreateInfo, Size: vk.DeviceSize(size),
		Usage: vk.BufferUsageFlags(vk.BufferUsageStorageBufferBit) | addressable,
	}, nil, &buffer))
	if err != nil {
		return err
	}
	var need vk.MemoryRequirements
	vk.GetBufferMemoryRequirements(d.handle, buffer, &need)
	need.Deref()
	var memory vk.DeviceMemory
	err = check("vkAllocateMemory", vk.AllocateMemory(d.handle, &vk.MemoryAllocateInfo{
		SType: vk.StructureTypeMemoryAllocateInfo, PNext: unsafe.Pointer(C.vk_memory_chain()),
		AllocationSize: need.Size, MemoryTypeIndex: 0, // a software device has one type
	}, nil, &memory))
	if err != nil {
		return err
	}
	if err := check("vkBindBufferMemory", vk.BindBufferMemory(d.handle, buffer, memory, 0)); err != nil {
		return err
	}
	var mapped unsafe.Pointer
	if err := check("vkMapMemory", vk.MapMemory(d.handle, memory, 0, vk.DeviceSize(size), 0, &mapped)); err != nil {
		return err
	}
	d.memory = unsafe.Slice((*byte)(mapped), size)
	d.base = uint64(C.vk_address(id(d.handle), id(buffer)))
	return nil
}

// arg is a tensor: bytes of the device's memory from offset, or nil below 0.
type arg struct {
	offset  int
	storage uint32 // F32, F16 or BF16 of kernel.glsl
}

// run makes the pipeline of k for these arguments and runs it once.
func (d *device) run(k shaders.Kernel, tile shaders.Tile, args []arg) error {
	desc, ok := shaders.Find(k.Name())
	if !ok || desc.SPIRV == nil || len(desc.Args) != len(args) {
		return fmt.Errorf("%s: no such shader with %d bindings", k.Name(), len(args))
	}
	var c C.dispatch
	constant := func(id, value uint32) {
		c.ids[c.constants], c.values[c.constants] = C.uint32_t(id), C.uint32_t(value)
		c.constants++
	}
	for i := range desc.TileNames {
		constant(uint32(i), tile[i])
	}
	for i, v := range k.Consts() {
		constant(4+uint32(i), v)
	}
	var push []byte
	seen := map[byte]bool{}
	for i, a := range args {
		b, present := desc.Args[i], uint32(1)
		address := d.base + uint64(a.offset)
		if a.offset < 0 {
			address, present = 0, 0
		}
		push = binary.LittleEndian.AppendUint64(push, address)
		if letter := uint32(b.Letter - 'T'); letter < 4 && present == 1 && !seen[b.Letter] {
			constant(16+letter, a.storage)
			seen[b.Letter] = true
		}
		if b.Optional {
			constant(32+uint32(i), present)
		}
	}
	push, err := k.Push(push)
	if err != nil {
		return err
	}
	for i, v := range push {
		c.push[i] = C.uint8_t(v)
	}
	c.push_bytes = C.uint32_t(len(push))
	for i, n := range k.Grid(tile) {
		c.groups[i] = C.uint32_t(n)
	}

	code := desc.SPIRV()
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	var module vk.ShaderModule
	if err := check("vkCreateShaderModule", vk.CreateShaderModule(d.handle, &vk.ShaderModuleCreateInfo{
		SType: vk.StructureTypeShaderModuleCreateInfo, CodeSize: uint(len(code)), PCode: words,
	}, nil, &module)); err != nil {
		return err
	}
	defer vk.DestroyShaderModule(d.handle, module, nil)
	var layout vk.PipelineLayout
	if err := check("vkCreatePipelineLayout", vk.CreatePipelineLayout(d.handle, &vk.PipelineLayoutCreateInfo{
		SType: vk.StructureTypePipelineLayoutCreateInfo, PushConstantRangeCount: 1,
		PPushConstantRanges: []vk.PushConstantRange{{StageFlags: vk.ShaderStageFlags(vk.ShaderStageComputeBit), Size: uint32(len(push))}},
	}, nil, &layout)); err != nil {
		return err
	}
	defer vk.DestroyPipelineLayout(d.handle, layout, nil)
	c.device, c.queue, c.pool, c.module, c.layout = id(d.handle), id(d.queue), id(d.pool), id(module), id(layout)
	var result C.int
	if failed := C.vk_run(&c, &result); failed != nil {
		return check(C.GoString(failed), vk.Result(result))
	}
	return nil
}
