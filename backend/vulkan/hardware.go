package vulkan

// hardware is what the backend asks of a device: gpu (Vulkan), or a device of the tests
// that does nothing. Submissions are numbered from 1 and run in order.
type hardware interface {
	name() string
	limits() Limits
	// matrices are the cooperative matrices that kernels may use, and the size of the
	// subgroups that they need.
	matrices() (shapes []matrix, subgroup int)
	// workgroups are the matrices of whole workgroups that kernels may use.
	workgroups() []granules
	// keepsHalves says that conversions to halves keep subnormals, infinities and NaN when they are asked.
	keepsHalves() bool
	// software says that it computes on the host's processor.
	software() bool
	// processors is how many take workgroups, each for itself; 0 where nobody says.
	processors() int
	// allocate gives a block of memory with an address; host memory is mapped, and so is what
	// the device shares with the host. Its error wraps tensor.ErrOutOfMemory where freeing
	// other blocks may help.
	allocate(bytes int, host bool) (memory, error)
	release(memory)
	// available is how much allocate can still give, or -1 where nobody says.
	available() int
	// pipeline compiles SPIR-V with its specialization constants, for subgroups of this size
	// (0: any).
	pipeline(code []byte, c *constants, subgroup int) (uint64, error)
	// submit runs commands as submission n in command buffer n % slots, whose last
	// submission has finished, behind transfer after (0: none). stamps asks for the time behind
	// every command.
	submit(n uint64, commands []command, after uint64, stamps bool) error
	// wait returns when submission n has finished. Any goroutine may call it.
	wait(n uint64) error
	// transfer runs a copy behind submission after and beside later ones: transfer n, from 1
	// on, when n - transfers has finished.
	transfer(n uint64, copy *command, after uint64) error
	// transferred returns when transfer n has finished. Any goroutine may call it.
	transferred(n uint64) error
	// stamps are the times in ns at the start of submission n, which is finished, and at its
	// end, or behind each of its commands; nil where the device has no clock.
	stamps(n uint64, count int) ([]uint64, error)
	// close waits for everything and frees it.
	close() error
}

// slots is the number of command buffers: one fills while two run.
const slots = 3

// transfers is the number of those that may be on their way.
const transfers = 2

// memory is one block of a device's memory.
type memory struct {
	address uint64 // on the device
	buffer  uint64 // handles
	block   uint64
	host    []byte // the same bytes, where they are mapped
}

// constants are the specialization constants by number: shaders/include/kernel.glsl has the
// numbers. Those that a shader does not have mean nothing.
type constants [firstOption + 12]uint32

type commandKind uint32

const (
	barrierCommand commandKind = iota
	dispatchCommand
	copyCommand
)

// pushBytes is how many bytes of push constants every device has.
const pushBytes = 128

// command is one entry of a submission, laid out as vk_command in vk.h.
type command struct {
	kind            commandKind
	pushed          uint32
	pipeline        uint64
	from, to        uint64 // buffers of a copy
	fromAt, toAt, n uint64 // and its bytes
	bindings               // of a dispatch, in the build of bound.go
	groups          [3]uint32
	push            [pushBytes]byte
	_               uint32
}
