//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan

// #include <stdlib.h>
// #include "vk.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"

	"github.com/agora-ml/agora/tensor"
)

// gpu is hardware on Vulkan: a logical device with a queue, and one for transfers where there is one.
type gpu struct {
	info     Info
	physical vk.PhysicalDevice
	facts    C.vk_facts
	device   vk.Device
	pools    [slots]vk.CommandPool
	queries  [slots]vk.QueryPool
	timeline vk.Semaphore
	aside    copyQueue
	layout   vk.PipelineLayout
	c        *C.vk_device // the function table; C memory

	epoch     uint64 // the first tick read
	pipelines []C.uint64_t
	asked     bool       // for matrices of workgroups
	making    sync.Mutex // of pipelines, which several threads make
	cacheFile string     // "": none
	cached    int        // bytes of the pipeline cache as it was loaded
}

// asksForSizes is the fact that a pipeline may say how large its subgroups are. Without it they have the device's own size, and no other
// is chosen.
const asksForSizes = C.VK_HAS_SIZES

// noProgress is how long a submission may run before it counts as hung.
const noProgress = 5 * time.Minute

// Both sides of a submission must mean the same bytes.
const _ = -uint(unsafe.Sizeof(command{}) ^ unsafe.Sizeof(C.vk_command{}))

// Open opens the device that o names. One goroutine at a time may use it.
func Open(o Options) (tensor.Backend, error) {
	list, facts, err := physicalDevices()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(list))
	for i := range list {
		infos[i] = describe(i, list[i], &facts[i])
	}
	info, err := choose(infos, o.Device)
	if err != nil {
		return nil, err
	}
	g := &gpu{info: info, physical: list[info.Index], facts: facts[info.Index]}
	if g.asked = o.WorkgroupMatrices || asksForWorkgroups(); !g.asked {
		g.facts.features &^= C.VK_HAS_FLEXIBLE | C.VK_HAS_WORKGROUP
	}
	g.info.choose(g.asked)
	if err = g.open(); err == nil {
		err = g.loadCache(o.CacheDir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", info.Name, err), g.close())
	}
	o.Plain = o.Plain || os.Getenv(PlainVariable) == "1"
	b := newBackend(g, o)
	b.compilers = newCompilers()
	return b, nil
}

func (g *gpu) open() error {
	var device vk.Device // a local: &g.device would show cgo a struct that holds Go pointers
	chain := C.vk_device_chain(g.facts.features)
	defer C.free(chain)
	extensions := g.extensions()
	queues := g.queues()
	create := &vk.DeviceCreateInfo{
		SType: vk.StructureTypeDeviceCreateInfo, PNext: chain, QueueCreateInfoCount: uint32(len(queues)),
		EnabledExtensionCount: uint32(len(extensions)), PpEnabledExtensionNames: extensions, PQueueCreateInfos: queues,
	}
	r := vk.CreateDevice(g.physical, create, nil, &device)
	create.Free()
	if r != vk.Success {
		return failure("vkCreateDevice", int(r))
	}
	g.device = device
	var queue vk.Queue
	vk.GetDeviceQueue(device, uint32(g.facts.family), 0, &queue)
	if err := g.createSlots(); err != nil {
		return err
	}
	timeline, err := newTimeline(device)
	if err != nil {
		return err
	}
	g.timeline = timeline
	if err := g.openTransfers(); err != nil {
		return err
	}
	var layout vk.PipelineLayout
	pushed := &vk.PipelineLayoutCreateInfo{
		SType: vk.StructureTypePipelineLayoutCreateInfo, PushConstantRangeCount: 1,
		PPushConstantRanges: []vk.PushConstantRange{{StageFlags: vk.ShaderStageFlags(vk.ShaderStageComputeBit),
			Size: pushBytes}},
	}
	r = vk.CreatePipelineLayout(device, pushed, nil, &layout)
	pushed.Free()
	if r != vk.Success {
		return failure("vkCreatePipelineLayout", int(r))
	}
	g.layout = layout

	handles := C.vk_handles{device: id(device), queue: id(queue), timeline: id(timeline), layout: id(layout)}
	for i := range slots {
		handles.pools[i], handles.queries[i] = id(g.pools[i]), id(g.queries[i])
	}
	g.aside.fill(&handles)
	var c *C.vk_device
	if r := C.vk_device_new(&handles, &c); r != 0 {
		return failure("vkAllocateCommandBuffers", int(r))
	}
	g.c = c
	return nil
}

// extensions are the names of those that the kernels need.
func (g *gpu) extensions() (list []string) {
	var names [C.VK_MAX_EXTENSIONS]*C.char
	for i := range C.vk_device_extensions(g.facts.features, &names[0]) {
		list = append(list, C.GoString(names[i])+"\x00")
	}
	return list
}

// createSlots makes a command pool for each submission in flight, and the queries for its times.
func (g *gpu) createSlots() error {
	for i := range slots {
		var err error
		if g.pools[i], err = newPool(g.device, uint32(g.facts.family)); err != nil {
			return err
		}
		if !g.info.Timestamps {
			continue
		}
		var queries vk.QueryPool
		query := &vk.QueryPoolCreateInfo{SType: vk.StructureTypeQueryPoolCreateInfo, QueryType: vk.QueryTypeTimestamp,
			QueryCount: mostCommands + 1}
		r := vk.CreateQueryPool(g.device, query, nil, &queries)
		query.Free()
		if r != vk.Success {
			return failure("vkCreateQueryPool", int(r))
		}
		g.queries[i] = queries
	}
	return nil
}

func newPool(device vk.Device, family uint32) (pool vk.CommandPool, err error) {
	create := &vk.CommandPoolCreateInfo{SType: vk.StructureTypeCommandPoolCreateInfo, QueueFamilyIndex: family}
	r := vk.CreateCommandPool(device, create, nil, &pool)
	create.Free()
	if r != vk.Success {
		return nil, failure("vkCreateCommandPool", int(r))
	}
	return pool, nil
}

func newTimeline(device vk.Device) (timeline vk.Semaphore, err error) {
	create := &vk.SemaphoreCreateInfo{SType: vk.StructureTypeSemaphoreCreateInfo,
		PNext: unsafe.Pointer(C.vk_timeline_chain())}
	r := vk.CreateSemaphore(device, create, nil, &timeline)
	create.Free()
	if r != vk.Success {
		return nil, failure("vkCreateSemaphore", int(r))
	}
	return timeline, nil
}

func (g *gpu) name() string { return g.info.Name }

func (g *gpu) arithmetic() map[string]string {
	i := &g.info
	return map[string]string{
		"driver": i.Driver + ", Vulkan " + i.API, "kind": string(i.Kind),
		"subgroups": fmt.Sprintf("%d (%d to %d)", i.Subgroup[0], i.Subgroup[1], i.Subgroup[2]),
		"shaders":   strings.Join(append([]string{"plain"}, i.Alternatives...), ", "),
	}
}

func (g *gpu) limits() Limits { return g.info.Limits }

func (g *gpu) matrices() ([]matrix, int) { return g.info.matrices, g.info.Subgroup[0] }

func (g *gpu) workgroups() []granules {
	if !g.asked {
		return nil
	}
	return g.info.workgroups
}

func (g *gpu) keepsHalves() bool { return g.facts.features&C.VK_HAS_HALVES != 0 }

func (g *gpu) software() bool { return g.info.Kind == KindCPU }

func (g *gpu) processors() int { return g.info.Processors }

func (g *gpu) available() int {
	t := memoryType(&g.facts, false, allTypes)
	if t < 0 || g.facts.features&C.VK_HAS_BUDGET == 0 {
		return -1
	}
	return heapFree(g.physical, g.facts.type_heap[t])
}

func (g *gpu) allocate(bytes int, host bool) (m memory, err error) {
	const addressable = 0x20000 // VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT, newer than the binding
	usage := vk.BufferUsageTransferSrcBit | vk.BufferUsageTransferDstBit
	if !host {
		usage |= vk.BufferUsageStorageBufferBit | addressable
	}
	var buffer vk.Buffer
	create := &vk.BufferCreateInfo{SType: vk.StructureTypeBufferCreateInfo, Size: vk.DeviceSize(bytes),
		Usage: vk.BufferUsageFlags(usage)}
	g.share(create)
	r := vk.CreateBuffer(g.device, create, nil, &buffer)
	create.Free()
	if r != vk.Success {
		return m, failure("vkCreateBuffer", int(r))
	}
	m.buffer = uint64(id(buffer))
	defer func() {
		if err != nil {
			g.release(m)
		}
	}()
	var need vk.MemoryRequirements
	vk.GetBufferMemoryRequirements(g.device, buffer, &need)
	need.Deref()
	t := memoryType(&g.facts, host, need.MemoryTypeBits)
	if t < 0 {
		return m, fmt.Errorf("the device has no memory for buffers (that the host sees: %t)", host)
	}
	allocate := &vk.MemoryAllocateInfo{SType: vk.StructureTypeMemoryAllocateInfo, AllocationSize: need.Size,
		MemoryTypeIndex: uint32(t)}
	if !host {
		allocate.PNext = unsafe.Pointer(C.vk_memory_chain())
	}
	var block vk.DeviceMemory
	r = vk.AllocateMemory(g.device, allocate, nil, &block)
	allocate.Free()
	if r != vk.Success {
		return m, failure(fmt.Sprintf("vkAllocateMemory of %s", mib(bytes)), int(r))
	}
	m.block = uint64(id(block))
	if r := vk.BindBufferMemory(g.device, buffer, block, 0); r != vk.Success {
		return m, failure("vkBindBufferMemory", int(r))
	}
	if !host {
		m.address = uint64(C.vk_address(g.c, id(buffer)))
	}
	if !host && !g.info.sharesMemory(uint32(g.facts.type_flags[t])) {
		return m, nil
	}
	var mapped unsafe.Pointer
	if r := vk.MapMemory(g.device, block, 0, vk.DeviceSize(bytes), 0, &mapped); r != vk.Success {
		return m, failure("vkMapMemory", int(r))
	}
	m.host = unsafe.Slice((*byte)(mapped), bytes)
	return m, nil
}

func (g *gpu) release(m memory) {
	if m.buffer != 0 {
		vk.DestroyBuffer(g.device, handle[vk.Buffer](m.buffer), nil)
	}
	if m.block != 0 {
		vk.FreeMemory(g.device, handle[vk.DeviceMemory](m.block), nil)
	}
}

// handle is vulkan-go's form of a handle.
func handle[H any](id uint64) H {
	p := uintptr(id)
	return *(*H)(unsafe.Pointer(&p))
}

// sizeAsked is the size of subgroups that a pipeline asks for which needs this one: none, where it may not.
func (g *gpu) sizeAsked(subgroup int) int {
	if g.facts.features&asksForSizes == 0 {
		return 0
	}
	return subgroup
}

func (g *gpu) pipeline(code []byte, c *constants, subgroup int) (uint64, error) {
	var p C.uint64_t
	full := 0
	if subgroup > 0 {
		full = 1
	}
	r := C.vk_pipeline(g.c, unsafe.Pointer(&code[0]), C.uint64_t(len(code)), (*C.uint32_t)(&c[0]), C.uint32_t(len(c)),
		C.int(full), C.uint32_t(g.sizeAsked(subgroup)), &p)
	if r != 0 {
		return 0, failure("vkCreateComputePipelines", int(r))
	}
	g.making.Lock()
	defer g.making.Unlock()
	g.pipelines = append(g.pipelines, p)
	return uint64(p), nil
}

func (g *gpu) submit(n uint64, commands []command, after uint64, stamps bool) error {
	var all C.int
	if stamps {
		all = 1
	}
	r := C.vk_submit(g.c, C.uint32_t(n%slots), (*C.vk_command)(unsafe.Pointer(&commands[0])), C.uint32_t(len(commands)),
		C.uint64_t(after), C.uint64_t(n), all)
	if r != 0 {
		return failure("vkQueueSubmit", int(r))
	}
	return nil
}

func (g *gpu) wait(n uint64) error { return g.passed(0, n, "submission") }

// passed returns when a timeline has reached n: that of submissions, or (1) of transfers.
func (g *gpu) passed(timeline C.int, n uint64, what string) error {
	const vkTimeout = 2
	last, since := g.reached(timeline), time.Now()
	for {
		switch r := C.vk_wait(g.c, timeline, C.uint64_t(n), C.uint64_t(time.Second)); r {
		case 0:
			return messages()
		case vkTimeout:
			if now := g.reached(timeline); now != last {
				last, since = now, time.Now()
			} else if time.Since(since) > noProgress {
				return fmt.Errorf("the device hangs: %s %d has not finished for %s", what, n, noProgress)
			}
		default:
			return failure("vkWaitSemaphores", int(r))
		}
	}
}

// reached is the last submission, or transfer, that has finished.
func (g *gpu) reached(timeline C.int) uint64 {
	var n C.uint64_t
	C.vk_reached(g.c, timeline, &n)
	return uint64(n)
}

func (g *gpu) stamps(n uint64, count int) ([]uint64, error) {
	if !g.info.Timestamps {
		return nil, nil
	}
	ticks := make([]uint64, count)
	if r := C.vk_stamps(g.c, C.uint32_t(n%slots), C.uint32_t(count), (*C.uint64_t)(unsafe.Pointer(&ticks[0]))); r != 0 {
		return nil, failure("vkGetQueryPoolResults", int(r))
	}
	if g.epoch == 0 {
		g.epoch = ticks[0]
	}
	mask := ^uint64(0) >> (64 - g.facts.timestamp_bits) // the clock may have fewer bits, and then it wraps around
	for i, t := range ticks {
		ticks[i] = uint64(float64((t-g.epoch)&mask) * float64(g.facts.timestamp_ns))
	}
	return ticks, nil
}

func (g *gpu) close() error {
	if g.device == nil {
		return nil
	}
	vk.DeviceWaitIdle(g.device) // an error here has come out of wait before
	if g.c != nil {
		g.saveCache()
		for _, p := range g.pipelines {
			C.vk_pipeline_free(g.c, p)
		}
		C.vk_device_free(g.c)
		g.c = nil
	}
	if g.layout != nil {
		vk.DestroyPipelineLayout(g.device, g.layout, nil)
	}
	if g.timeline != nil {
		vk.DestroySemaphore(g.device, g.timeline, nil)
	}
	g.aside.close(g.device)
	for i := range slots {
		if g.queries[i] != nil {
			vk.DestroyQueryPool(g.device, g.queries[i], nil)
		}
		if g.pools[i] != nil {
			vk.DestroyCommandPool(g.device, g.pools[i], nil)
		}
	}
	vk.DestroyDevice(g.device, nil)
	g.device = nil
	runtime.KeepAlive(g)
	return messages()
}
