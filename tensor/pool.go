package tensor

import "math/bits"

// pool keeps freed buffers for the next tensor of about the same size: on the CPU
// fresh pages cost more than the arithmetic on them, on a GPU an allocation waits.
type pool struct {
	free  map[int][]Buffer
	bytes int
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

func (p *pool) get(size int) (Buffer, bool) {
	list := p.free[size]
	if len(list) == 0 {
		return nil, false
	}
	buf := list[len(list)-1]
	list[len(list)-1] = nil
	p.free[size] = list[:len(list)-1]
	p.bytes -= size
	return buf, true
}

func (p *pool) put(size int, buf Buffer) {
	if p.free == nil {
		p.free = map[int][]Buffer{}
	}
	p.free[size] = append(p.free[size], buf)
	p.bytes += size
}

func (p *pool) drop(free func(Buffer)) {
	for _, list := range p.free {
		for _, buf := range list {
			free(buf)
		}
	}
	p.free, p.bytes = nil, 0
}
