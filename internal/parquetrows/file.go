package parquetrows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/agora-ml/agora/internal/columns"
)

// file is an open file.
type file struct {
	ctx     context.Context
	r       io.ReaderAt
	size    int64
	allow   func(bytes int) error
	held    int // bytes of pages
	meta    metadata
	root    *node
	columns []*column // all of them, as row groups have them
}

const (
	magic     = "PAR1"
	encrypted = "PARE"
	maxFooter = 64 << 20
)

// open reads the footer: the schema and where row groups are.
func (f *file) open(without []string) error {
	const ends = 2*len(magic) + 4
	if f.size < int64(ends) {
		return fmt.Errorf("want a Parquet file, got one of %d bytes", f.size)
	}
	var head [4]byte
	var tail [8]byte
	if err := errors.Join(f.read(head[:], 0), f.read(tail[:], f.size-8)); err != nil {
		return err
	}
	switch {
	case string(tail[4:]) == encrypted:
		return errors.New("want a Parquet file that can be read, got an encrypted one")
	case string(head[:]) != magic || string(tail[4:]) != magic:
		return fmt.Errorf("want a Parquet file, which begins and ends with %s, got %q and %q", magic, head, tail[4:])
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	if length > min(f.size-int64(ends), maxFooter) {
		return fmt.Errorf("footer: want at most %d bytes, got %d", min(f.size-int64(ends), maxFooter), length)
	}
	footer := make([]byte, length)
	if err := f.read(footer, f.size-8-length); err != nil {
		return err
	}
	t := &thriftReader{b: footer}
	if f.meta = t.metadata(); t.err != nil {
		return fmt.Errorf("footer: %w", t.err)
	}
	if f.meta.encrypted {
		return errors.New("want a Parquet file that can be read, got an encrypted one")
	}
	if err := f.readSchema(); err != nil {
		return err
	}
	for i := range f.root.children {
		n := f.root.children[i]
		n.absent = slices.Contains(without, n.name)
	}
	if !slices.ContainsFunc(f.root.children, func(n *node) bool { return !n.absent }) {
		f.root.children[0].absent = false // rows are counted by what they hold
	}
	return nil
}

func (f *file) read(b []byte, at int64) error { return columns.ReadAt(f.ctx, f.r, b, at) }

// hold notes that so many bytes more, or with a minus less, are held.
func (f *file) hold(bytes int) error {
	if bytes > 0 {
		if err := f.allow(f.held + bytes); err != nil {
			return err
		}
	}
	f.held += bytes
	return nil
}
