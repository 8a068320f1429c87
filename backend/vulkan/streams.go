package vulkan

// Streams is how buffers get content while kernels run (tensor.Filler).
type Streams string

// The ways: the host writes to memory that the device shares with it; or a copy runs in a queue of a family that does
// nothing but copy, in a second queue of the family that computes, or in the queue of the kernels, between them.
const (
	StreamsShared   Streams = "shared memory"
	StreamsTransfer Streams = "transfer queue"
	StreamsSecond   Streams = "second queue"
	StreamsBetween  Streams = "one queue"
)

// sharesMemory reports whether memory of a type with these flags, of which tensors are, is the host's as well. A card may
// have memory that the host sees, too, but behind a bus.
func (i Info) sharesMemory(flags uint32) bool {
	const visible, coherent = 2, 4
	return (i.Kind == KindIntegrated || i.Kind == KindCPU) && flags&(visible|coherent) == visible|coherent
}

// queueFamily is what a device says of one.
type queueFamily struct {
	flags  uint32
	queues int
}

// queue is one of a family's, by number.
type queue struct{ family, number int }

// transferQueue chooses the queue of copies that run beside kernels, which have the first queue of family computes.
func transferQueue(list []queueFamily, computes int) (queue, Streams) {
	const (
		copies    = 4
		sparse    = 8 // binds memory: many that copy do that, too
		protected = 16
	)
	for i, f := range list { // with other flags it serves video, say
		if f.flags&copies != 0 && f.flags&^(copies|sparse|protected) == 0 && f.queues > 0 {
			return queue{i, 0}, StreamsTransfer
		}
	}
	if computes < len(list) && list[computes].queues > 1 {
		return queue{computes, 1}, StreamsSecond
	}
	return queue{computes, 0}, StreamsBetween
}
