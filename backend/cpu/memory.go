package cpu

import (
	"errors"
	"fmt"

	"github.com/agora-ml/agora/backend/cpu/internal/pages"
	"github.com/agora-ml/agora/tensor"
)

// memory hands out buffers outside Go's heap, whose collector would otherwise let
// the process grow to twice what its tensors need. Big buffers are pages of their
// own, huge ones where the system has them; small ones are cut from slabs. All are aligned to 64 bytes.
type memory struct {
	limit, used int
	pages       pages.Pool
	big         map[*buffer]bool // those in use that are pages of their own
	slabs       [][]byte
	slab        []byte            // the uncut rest of the newest slab
	small       map[int][]*buffer // freed small buffers by size
}

type buffer struct {
	data  []byte
	pages []byte // the mapping to give back; nil for a piece of a slab
}

const (
	slabBytes  = 1 << 20
	smallBytes = 64 << 10 // below this a buffer is cut from a slab
)

func (m *memory) alloc(bytes int) (*buffer, error) {
	size := (max(bytes, 1) + 63) &^ 63
	if size < smallBytes {
		if list := m.small[size]; len(list) > 0 {
			m.small[size] = list[:len(list)-1]
			return list[len(list)-1], nil
		}
		if len(m.slab) < size {
			slab, err := m.mapped(slabBytes)
			if err != nil {
				return nil, err
			}
			m.slabs, m.slab = append(m.slabs, slab), slab
		}
		b := &buffer{data: m.slab[:size:size]}
		m.slab = m.slab[size:]
		return b, nil
	}
	mapped, err := m.mapped(size)
	if err != nil {
		return nil, err
	}
	b := &buffer{data: mapped[:size:size], pages: mapped}
	if m.big == nil {
		m.big = map[*buffer]bool{}
	}
	m.big[b] = true
	return b, nil
}

func (m *memory) mapped(bytes int) ([]byte, error) {
	if m.limit > 0 && bytes > m.limit-m.used {
		return nil, fmt.Errorf("%w: %d bytes beside %d in use pass the limit of %d", tensor.ErrOutOfMemory, bytes,
			m.used, m.limit)
	}
	mapped, err := m.pages.Map(bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: mapping %d bytes: %v", tensor.ErrOutOfMemory, bytes, err)
	}
	m.used += len(mapped)
	return mapped, nil
}

func (m *memory) free(b *buffer) {
	if b.pages == nil {
		if m.small == nil {
			m.small = map[int][]*buffer{}
		}
		m.small[len(b.data)] = append(m.small[len(b.data)], b)
		return
	}
	delete(m.big, b)
	m.used -= len(b.pages)
	pages.Unmap(b.pages) // only a mapping that is not ours could fail
	b.data, b.pages = nil, nil
}

// abandon leaves a buffer's memory to whoever has it; of a small one, that of all that were cut beside it.
func (m *memory) abandon(b *buffer) {
	if b.pages == nil {
		m.slabs, m.slab = nil, nil
		return
	}
	delete(m.big, b)
	b.pages = nil
}

// close gives everything back, in use or not.
func (m *memory) close() error {
	var errs []error
	for b := range m.big {
		errs = append(errs, pages.Unmap(b.pages))
		b.data, b.pages = nil, nil
	}
	for _, slab := range m.slabs {
		errs = append(errs, pages.Unmap(slab))
	}
	m.pages.Close()
	*m = memory{limit: m.limit}
	return errors.Join(errs...)
}
