package pages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Map maps fresh pages of zeros.
func Map(bytes int) ([]byte, error) {
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	b := unsafe.Slice((*byte)(at), bytes)
	if bytes >= Huge {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // only a wish
	}
	return b, nil
}

// Unmap gives back what Map returned.
func Unmap(b []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
}

const (
	togetherBytes = 64 << 20 // of a mapping that a Pool cuts
	aloneBytes    = 8 << 20  // of what has a mapping of its own: the huge pages at its ends are few of it
)

// Map maps fresh pages of zeros, which Unmap gives back.
func (p *Pool) Map(bytes int) ([]byte, error) {
	if bytes >= aloneBytes {
		return Map(bytes)
	}
	page := unix.Getpagesize()
	whole := (bytes + page - 1) / page * page
	if whole > len(p.rest) {
		rest, err := Map(togetherBytes)
		if err != nil {
			return Map(bytes)
		}
		p.Close()
		p.rest = rest
	}
	b := p.rest[:bytes:bytes]
	p.rest = p.rest[whole:]
	return b, nil
}

// Close unmaps what was never handed out.
func (p *Pool) Close() {
	if len(p.rest) > 0 {
		_ = Unmap(p.rest) // only a mapping that is not ours could fail
	}
	p.rest = nil
}
