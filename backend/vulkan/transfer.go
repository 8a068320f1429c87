//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan

// #include "vk.h"
import "C"

import (
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// copyQueue is where copies run beside kernels: a queue of its own where the device has one, else the kernels'.
type copyQueue struct {
	queue    vk.Queue
	timeline vk.Semaphore
	pools    [transfers]vk.CommandPool
}

// queues are those that a logical device is made with.
func (g *gpu) queues() []vk.DeviceQueueCreateInfo {
	computes, copies := int(g.facts.family), g.info.transfers
	some := func(family, count int) vk.DeviceQueueCreateInfo {
		return vk.DeviceQueueCreateInfo{SType: vk.StructureTypeDeviceQueueCreateInfo, QueueFamilyIndex: uint32(family),
			QueueCount: uint32(count), PQueuePriorities: []float32{1, 1}[:count]}
	}
	if copies.family == computes {
		return []vk.DeviceQueueCreateInfo{some(computes, 1+copies.number)}
	}
	return []vk.DeviceQueueCreateInfo{some(computes, 1), some(copies.family, 1)}
}

// share has the queues of both families use a buffer that is about to be made. Drivers take this for a hint about the
// compression of images; the other way, a buffer's range would have an owner that changes with every block.
func (g *gpu) share(create *vk.BufferCreateInfo) {
	if computes, copies := uint32(g.facts.family), uint32(g.info.transfers.family); computes != copies {
		create.SharingMode, create.QueueFamilyIndexCount = vk.SharingModeConcurrent, 2
		create.PQueueFamilyIndices = []uint32{computes, copies}
	}
}

func (g *gpu) openTransfers() (err error) {
	var queue vk.Queue
	vk.GetDeviceQueue(g.device, uint32(g.info.transfers.family), uint32(g.info.transfers.number), &queue)
	q := &g.aside
	q.queue = queue
	if q.timeline, err = newTimeline(g.device); err != nil {
		return err
	}
	for i := range q.pools {
		if q.pools[i], err = newPool(g.device, uint32(g.info.transfers.family)); err != nil {
			return err
		}
	}
	return nil
}

// fill gives C what it needs.
func (q *copyQueue) fill(h *C.vk_handles) {
	h.transfer_queue, h.transfer_timeline = id(q.queue), id(q.timeline)
	for i, p := range q.pools {
		h.transfer_pools[i] = id(p)
	}
}

func (q *copyQueue) close(device vk.Device) {
	if q.timeline != nil {
		vk.DestroySemaphore(device, q.timeline, nil)
	}
	for _, p := range q.pools {
		if p != nil {
			vk.DestroyCommandPool(device, p, nil)
		}
	}
}

func (g *gpu) transfer(n uint64, c *command, after uint64) error {
	r := C.vk_transfer(g.c, C.uint32_t(n%transfers), (*C.vk_command)(unsafe.Pointer(c)), C.uint64_t(after), C.uint64_t(n))
	if r != 0 {
		return failure("vkQueueSubmit of a transfer", int(r))
	}
	return nil
}

func (g *gpu) transferred(n uint64) error { return g.passed(1, n, "transfer") }
