package tensor

import (
	"math/bits"
	"slices"
)

// pool keeps freed buffers for the next tensors: on the CPU fresh pages cost more than
// the arithmetic on them, on a GPU an allocation waits.
type pool struct {
	classes map[int]*class // by the size of their buffers
	bytes   int
	clock   int  // counts what was taken and put
	oldest  bool // take what was put first, not last, and of small buffers none that was just put
}

// With oldest a buffer of at most restBytes rests until rest others were taken or put: temporaries of a layer would
// else have one memory, and wait for each other. Larger ones would cost more memory than they save time.
const rest, restBytes = 32, 1 << 20

// class is the free buffers of one size.
type class struct {
	free []pooled
	used int // the clock when one was last taken or put
}

type pooled struct {
	Buffer
	put int // the clock when it was
}

// poolSize rounds a size up: to 256 bytes, and from 4 KiB on to one of eight steps
// between two powers of two, so that at most an eighth is wasted.
func poolSize(bytes int) int {
	step := 256
	if bytes > 4096 {
		step = 1 << (bits.Len(uint(bytes-1)) - 4)
	}
	return max(step, (bytes+step-1)/step*step)
}

// get gives the smallest buffer of at least size and at most so many bytes.
func (p *pool) get(size, most int) (buf Buffer, bytes int, ok bool) {
	for bytes := size; bytes <= most; bytes = poolSize(bytes + 1) {
		if c := p.classes[bytes]; c != nil && len(c.free) > 0 && !p.rests(c, bytes) {
			return p.take(c, bytes), bytes, true
		}
	}
	return nil, 0, false
}

func (p *pool) rests(c *class, bytes int) bool {
	return p.oldest && bytes <= restBytes && p.clock-c.free[0].put < rest
}

func (p *pool) take(c *class, bytes int) Buffer {
	at := len(c.free) - 1
	if p.oldest {
		at = 0
	}
	buf := c.free[at].Buffer
	c.free = slices.Delete(c.free, at, at+1)
	p.bytes -= bytes
	p.touch(c)
	return buf
}

func (p *pool) put(bytes int, buf Buffer) {
	if p.classes == nil {
		p.classes = map[int]*class{}
	}
	c := p.classes[bytes]
	if c == nil {
		c = &class{}
		p.classes[bytes] = c
	}
	c.free = append(c.free, pooled{buf, p.clock})
	p.bytes += bytes
	p.touch(c)
}

func (p *pool) touch(c *class) {
	p.clock++
	c.used = p.clock
}

// shrink frees buffers until at most so many bytes are left, those of the sizes that were
// not used for longest first, and tells how many bytes it has freed.
func (p *pool) shrink(bytes int, free func(Buffer)) (freed int) {
	for p.bytes > bytes {
		var oldest *class
		size := 0
		for s, c := range p.classes {
			if len(c.free) > 0 && (oldest == nil || c.used < oldest.used) {
				oldest, size = c, s
			}
		}
		last := len(oldest.free) - 1
		free(oldest.free[last].Buffer)
		oldest.free = oldest.free[:last]
		p.bytes -= size
		freed += size
	}
	return freed
}
