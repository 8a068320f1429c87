package parquetrows

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

const (
	maxPage    = 256 << 20 // bytes, unpacked; writers make pages of 1 MiB or of one value
	maxHeader  = 1 << 16   // bytes of what stands before a page
	mostValues = 1 << 24   // of a page
	perValue   = 16        // bytes at most that levels, places and numbers of one value take, unpacked
)

// plainDictionary is what older files call RLEDictionary on pages of places, and Plain on dictionaries.
const plainDictionary format.Encoding = 2

// page is some values of a column, unpacked. A value that is null, or of a list that is empty, is in the levels
// alone.
type page struct {
	n          int    // levels
	reps, defs []byte // nil: all are 0
	values     *values
	indexes    []int32 // into values; nil: they stand there one after the other
	held       int     // bytes
}

// pages reads those of a column in a row group, one after the other.
type pages struct {
	f          *file
	c          *column
	codec      format.CompressionCodec
	r          *bufio.Reader
	left       int64 // bytes
	values     int64 // not read yet
	dictionary *values
	size       int // of the dictionary
}

// pagesOf are the pages of a column in a row group.
func (f *file) pagesOf(c *column, at *chunk) (*pages, error) {
	from := at.data
	if at.dictionary > 0 && at.dictionary < from {
		from = at.dictionary
	}
	if at.values == 0 {
		return &pages{f: f, c: c}, nil // some writers say nothing of where none are
	}
	switch {
	case at.file != "":
		return nil, fmt.Errorf("want a column in the file itself, got one in %.60q", at.file)
	case at.physical != c.physical:
		return nil, fmt.Errorf("want values of type %s, got %s", c.physical, at.physical)
	case from < int64(len(magic)) || from > f.size || at.bytes < 0 || at.bytes > f.size-from || at.values < 0:
		return nil, fmt.Errorf("want values within the file's %d bytes, got %d of them at %d in %d", f.size, at.values,
			from, at.bytes)
	}
	if err := f.hold(maxHeader); err != nil { // there may be very many columns
		return nil, err
	}
	section := io.NewSectionReader(f.r, from, at.bytes)
	return &pages{f: f, c: c, codec: at.codec, r: bufio.NewReaderSize(section, maxHeader), left: at.bytes,
		values: at.values}, nil
}

// next is the next page of values, nil behind the last.
func (p *pages) next() (*page, error) {
	for p.values > 0 {
		if err := p.f.ctx.Err(); err != nil {
			return nil, err
		}
		h, packed, err := p.take()
		if err != nil {
			return nil, err
		}
		var next *page
		switch {
		case h.kind == format.IndexPage:
		case !h.found:
			err = fmt.Errorf("want what a page is before it, got none (type %d)", h.kind)
		case h.kind == format.DictionaryPage:
			err = p.readDictionary(&h, packed)
		case h.kind == format.DataPage:
			next, err = p.dataPage(&h, packed)
		case h.kind == format.DataPageV2:
			next, err = p.dataPageV2(&h, packed)
		default:
			err = fmt.Errorf("want a page of values or a dictionary, got number %d", h.kind)
		}
		if err != nil {
			return nil, err
		}
		if next != nil && next.n > 0 {
			if p.values -= int64(next.n); p.values < 0 {
				return nil, fmt.Errorf("want %d values fewer", -p.values)
			}
			return next, p.f.hold(next.held)
		}
	}
	return nil, nil
}

// take reads a page as it is packed, and what stands before it.
func (p *pages) take() (h pageHeader, packed []byte, err error) {
	head, err := p.r.Peek(int(min(p.left, maxHeader)))
	if err != nil {
		return h, nil, noEOF(err)
	}
	t := &thriftReader{b: head}
	if h = t.pageHeader(); t.err != nil {
		return h, nil, fmt.Errorf("what stands before a page: %w", t.err)
	}
	_, _ = p.r.Discard(t.at) // it is in the buffer
	p.left -= int64(t.at)
	if h.packed < 0 || h.packed > p.left || h.unpacked < 0 || h.unpacked > maxPage {
		return h, nil, fmt.Errorf("want a page within the %d bytes left, of at most %d unpacked, got %d and %d", p.left,
			maxPage, h.packed, h.unpacked)
	}
	if err := p.f.allow(p.f.held + int(h.packed+h.unpacked)); err != nil {
		return h, nil, err
	}
	packed = make([]byte, h.packed)
	if _, err := io.ReadFull(p.r, packed); err != nil {
		return h, nil, noEOF(err)
	}
	p.left -= h.packed
	if h.checked && h.crc != crc32.ChecksumIEEE(packed) {
		return h, nil, errors.New("want a page with the checksum before it, got one with another")
	}
	return h, packed, nil
}

// noEOF says of a file's end that it is too early.
func noEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errShort
	}
	return err
}

func (p *pages) readDictionary(h *pageHeader, packed []byte) error {
	data, err := unpack(p.codec, packed, int(h.unpacked))
	if err != nil {
		return err
	}
	n, encoding := h.values, h.encoding
	if encoding == plainDictionary {
		encoding = format.Plain
	}
	switch {
	case p.dictionary != nil:
		return errors.New("want one dictionary, got another")
	case n < 0 || n > int64(8*len(data)):
		return fmt.Errorf("dictionary: want at most %d values, got %d", 8*len(data), n)
	}
	if err := p.f.hold(len(data) + int(n)*perValue); err != nil {
		return err
	}
	p.size = int(n)
	if p.dictionary, err = p.c.decode(encoding, data, p.size); err != nil {
		return fmt.Errorf("dictionary: %w", err)
	}
	return nil
}

// dataPage reads a page whose levels are packed with its values.
func (p *pages) dataPage(h *pageHeader, packed []byte) (*page, error) {
	data, err := unpack(p.codec, packed, int(h.unpacked))
	if err != nil {
		return nil, err
	}
	next, err := p.newPage(h.values, len(data))
	if err != nil {
		return nil, err
	}
	levels := func(highest int, encoding format.Encoding) (l []byte) {
		if highest == 0 || err != nil {
			return nil
		}
		if encoding != format.RLE {
			err = fmt.Errorf("want levels in runs, got %s", encoding)
			return nil
		}
		if len(data) < 4 || int64(binary.LittleEndian.Uint32(data)) > int64(len(data)-4) {
			err = errShort
			return nil
		}
		end := 4 + int(binary.LittleEndian.Uint32(data))
		l, err = decodeLevelsTo(data[4:end], highest, next.n)
		data = data[end:]
		return l
	}
	next.reps = levels(p.c.rep, h.repLevel)
	next.defs = levels(p.c.def, h.defLevel)
	if err != nil {
		return nil, err
	}
	return next, p.decode(next, h.encoding, data)
}

// dataPageV2 reads a page whose levels stand before its values, which alone are packed.
func (p *pages) dataPageV2(h *pageHeader, packed []byte) (*page, error) {
	reps, defs := h.repBytes, h.defBytes
	size := h.unpacked - reps - defs
	if reps < 0 || defs < 0 || reps > int64(len(packed)) || defs > int64(len(packed))-reps || size < 0 {
		return nil, errShort
	}
	next, err := p.newPage(h.values, int(h.unpacked))
	if err != nil {
		return nil, err
	}
	if p.c.rep > 0 {
		if next.reps, err = decodeLevelsTo(packed[:reps], p.c.rep, next.n); err != nil {
			return nil, err
		}
	}
	if p.c.def > 0 {
		if next.defs, err = decodeLevelsTo(packed[reps:reps+defs], p.c.def, next.n); err != nil {
			return nil, err
		}
	}
	data := packed[reps+defs:]
	if !h.plain {
		if size == 0 { // of which some writers pack nothing, some something
			data = nil
		} else if data, err = unpack(p.codec, data, int(size)); err != nil {
			return nil, err
		}
	}
	return next, p.decode(next, h.encoding, data)
}

// newPage is one of n values in so many bytes.
func (p *pages) newPage(n int64, bytes int) (*page, error) {
	if n < 0 || n > mostValues {
		return nil, fmt.Errorf("want at most %d values in a page, got %d", mostValues, n)
	}
	next := &page{n: int(n), held: bytes + int(n)*perValue}
	return next, p.f.allow(p.f.held + next.held)
}

// decodeLevelsTo decodes n levels, of which none is above the highest.
func decodeLevelsTo(data []byte, highest, n int) ([]byte, error) {
	levels, err := decodeLevels(data, uint(bits.Len(uint(highest))), n)
	if err != nil {
		return nil, fmt.Errorf("levels: %w", err)
	}
	for _, l := range levels {
		if int(l) > highest {
			return nil, fmt.Errorf("levels: want at most %d, got %d", highest, l)
		}
	}
	return levels, nil
}

// decode decodes the values of a page, which are as many as levels that are the highest.
func (p *pages) decode(next *page, encoding format.Encoding, data []byte) (err error) {
	n := next.n
	if next.defs != nil {
		n = 0
		for _, l := range next.defs {
			if int(l) == p.c.def {
				n++
			}
		}
	}
	if encoding != plainDictionary && encoding != format.RLEDictionary {
		if next.values, err = p.c.decode(encoding, data, n); err == nil {
			next.held += len(next.values.bytes)
		}
		return err
	}
	if p.dictionary == nil {
		return errors.New("want a dictionary before places in it, got none")
	}
	next.values = p.dictionary
	next.indexes, err = decodeIndexes(data, n, p.size)
	return err
}
