package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/agora-ml/agora/tensor"
)

// null is hardware that does nothing but look on: blocks have addresses, and host memory
// where it is asked for, submissions finish at once.
type null struct {
	lim       Limits
	shapes    []matrix
	granules  []granules
	units     int      // processors
	slow      bool     // it is software
	refuse    bool     // compiles no shader that wants subgroups of one size
	refused   []uint32 // nor any whose constants begin so
	free      int      // bytes that allocate still gives; -1: any
	silent    bool     // does not tell how many
	submitted []command
	forget    bool     // keep no commands in submitted
	flights   []uint64 // submissions that nobody has waited for
	most      int      // how many of those there were at once
	order     []string // submissions and transfers, with what each waits for
	landed    uint64   // the last transfer that somebody has waited for
	sent      uint64   // the last transfer
	shares    bool     // the host sees tensors' memory
	mu        sync.Mutex
	next      uint64 // address of the next block
	live      map[uint64]int
	pipelines []constants
	ran       uint64 // ns that every submission takes
	clock     uint64
	begun     map[uint64]uint64
	lost      uint64 // submission that never comes back; 0: none
	closed    bool
}

func newNull() *null {
	return &null{
		lim: Limits{Groups: [3]int{65535, 65535, 65535}, Invocations: 1024, Shared: 32 << 10, Allocation: 2 << 30,
			Allocations: 4096},
		free: -1, next: 1 << 20, live: map[uint64]int{}, begun: map[uint64]uint64{},
	}
}

func (h *null) name() string      { return "null" }
func (h *null) keepsHalves() bool { return false }
func (h *null) limits() Limits    { return h.lim }

func (h *null) allocate(bytes int, host bool) (memory, error) {
	if h.free >= 0 && bytes > h.free {
		return memory{}, fmt.Errorf("%w: the null device", tensor.ErrOutOfMemory)
	}
	if h.free >= 0 {
		h.free -= bytes
	}
	m := memory{address: h.next, buffer: h.next, block: h.next}
	h.next += uint64(bytes) + 1<<20
	h.live[m.block] = bytes
	if host || h.shares {
		m.host = make([]byte, bytes)
	}
	return m, nil
}

func (h *null) release(m memory) {
	if h.live[m.block] == 0 {
		panic("released twice")
	}
	if h.free >= 0 {
		h.free += h.live[m.block]
	}
	delete(h.live, m.block)
}

func (h *null) available() int {
	if h.silent {
		return -1
	}
	return h.free
}

func (h *null) matrices() ([]matrix, int) { return h.shapes, 32 }
func (h *null) workgroups() []granules    { return h.granules }
func (h *null) software() bool            { return h.slow }
func (h *null) processors() int           { return h.units }

func (h *null) pipeline(_ []byte, c *constants, subgroup int) (uint64, error) {
	if h.refuse && subgroup != 0 || h.refused != nil && slices.Equal(c[:len(h.refused)], h.refused) {
		return 0, errors.New("the null device refuses")
	}
	h.pipelines = append(h.pipelines, *c)
	return uint64(len(h.pipelines)), nil
}

func (h *null) submit(n uint64, commands []command, after uint64, _ bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(commands) > mostCommands {
		return fmt.Errorf("%d commands in submission %d, want at most %d", len(commands), n, mostCommands)
	}
	for _, f := range h.flights {
		if f%slots == n%slots {
			return fmt.Errorf("submission %d records over %d, which may be running", n, f)
		}
	}
	if !h.forget {
		h.submitted = append(h.submitted, commands...)
	}
	h.order = append(h.order, fmt.Sprintf("%d after %d", n, after))
	h.flights = append(h.flights, n)
	h.most = max(h.most, len(h.flights))
	h.begun[n] = h.clock
	h.clock += h.ran
	return nil
}

func (h *null) wait(n uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != 0 && n >= h.lost {
		return fmt.Errorf("%w: the null device", ErrLost)
	}
	for len(h.flights) > 0 && h.flights[0] <= n {
		h.flights = h.flights[1:]
	}
	return nil
}

func (h *null) transfer(n uint64, c *command, after uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > h.landed+transfers {
		return fmt.Errorf("transfer %d records over one of which %d is the last that has finished", n, h.landed)
	}
	h.sent = n
	h.order = append(h.order, fmt.Sprintf("transfer %d of %d after %d", n, c.n, after))
	return nil
}

func (h *null) transferred(n uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > h.sent {
		return fmt.Errorf("transfer %d is waited for, %d is the last", n, h.sent)
	}
	if h.lost != 0 && n > 0 {
		return fmt.Errorf("%w: the null device", ErrLost)
	}
	h.landed = max(h.landed, n)
	return nil
}

func (h *null) stamps(n uint64, count int) ([]uint64, error) {
	times := make([]uint64, count)
	for i := range times {
		times[i] = h.begun[n] + h.ran*uint64(i)/uint64(count-1)
	}
	return times, nil
}

func (h *null) close() error {
	h.closed = true
	if len(h.flights) > 0 && h.lost == 0 {
		return fmt.Errorf("closed while submissions %v may be running", h.flights)
	}
	if len(h.live) > 0 {
		return fmt.Errorf("%d blocks were never released", len(h.live))
	}
	return nil
}
