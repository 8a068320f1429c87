package arrowrows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/agora-ml/agora/internal/columns"
	flatbuffers "github.com/google/flatbuffers/go"
)

// file is an open file: messages one after the other, the first of which is the schema.
type file struct {
	ctx     context.Context
	r       io.ReaderAt
	at, end int64 // of the messages that are not read yet
	allow   func(bytes int) error
	held    int // bytes of the batch at hand and of dictionaries
	kept    int // bytes of dictionaries

	fields       []*field // columns
	dictionaries map[int64]*dictionary
	encoded      map[int64]*field // what is in each dictionary
	batches      int              // messages of rows read
}

const (
	magic        = "ARROW1" // before and behind a file; a stream has none
	continuation = 0xffffffff
	maxHead      = 64 << 20 // bytes of what stands before values
	leastVersion = 3        // V4, of 2017
)

// message is what stands before values, and where these are.
type message struct {
	kind   byte
	header table
	from   int64 // of the values
	length int64
}

// Kinds of messages.
const (
	kindSchema = iota + 1
	kindDictionary
	kindBatch
)

// open reads the schema.
func (f *file) open(without []string) error {
	var head [8]byte
	if err := f.read(head[:min(f.end, 8)], 0); err != nil {
		return err
	}
	if string(head[:len(magic)]) == magic {
		if err := f.openFile(); err != nil {
			return err
		}
	} else if word := binary.LittleEndian.Uint32(head[:]); word != continuation && (word == 0 || word > maxHead) {
		return fmt.Errorf("want an Arrow file, which begins with %s, or a stream, got %q", magic, head)
	}
	m, err := f.message()
	switch {
	case err != nil:
		return fmt.Errorf("schema: %w", err)
	case m == nil || m.kind != kindSchema:
		return errors.New("want a schema before all rows, got none")
	}
	if err := f.readSchema(m.header); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	for _, column := range f.fields {
		column.absent = slices.Contains(without, column.name)
	}
	if !slices.ContainsFunc(f.fields, func(n *field) bool { return !n.absent }) {
		f.fields[0].absent = false // rows are counted by what they hold
	}
	return nil
}

// openFile finds where messages end in a file that is no stream: its footer says again where they are.
func (f *file) openFile() error {
	const ends = 4 + len(magic)
	var tail [ends]byte
	if f.end < 8+int64(ends) {
		return errShort
	}
	if err := f.read(tail[:], f.end-int64(ends)); err != nil {
		return err
	}
	if string(tail[4:]) != magic {
		return fmt.Errorf("want an Arrow file, which ends with %s, got %q", magic, tail[4:])
	}
	footer := int64(binary.LittleEndian.Uint32(tail[:]))
	f.at, f.end = 8, f.end-int64(ends)-footer
	if f.end < f.at {
		return fmt.Errorf("footer: want at most %d bytes, got %d", f.end+footer-f.at, footer)
	}
	return nil
}

func (f *file) read(b []byte, at int64) error { return columns.ReadAt(f.ctx, f.r, b, at) }

// take reads the next number of 32 bits; not ok at the end.
func (f *file) take() (n int64, ok bool, err error) {
	if f.at == f.end {
		return 0, false, nil
	}
	if f.end-f.at < 4 {
		return 0, false, errShort
	}
	var word [4]byte
	err = f.read(word[:], f.at)
	f.at += 4
	return int64(binary.LittleEndian.Uint32(word[:])), err == nil, err
}

// message reads what stands before the next values; nil behind the last. Before 2019 nothing stood before its length.
func (f *file) message() (*message, error) {
	length, ok, err := f.take()
	if ok && length == continuation {
		if length, ok, err = f.take(); !ok && err == nil {
			err = errShort
		}
	}
	if err != nil || !ok || length == 0 {
		return nil, err
	}
	if length > min(maxHead, f.end-f.at) {
		return nil, fmt.Errorf("want at most %d bytes before values, got %d", min(maxHead, f.end-f.at), length)
	}
	if err := f.hold(int(length)); err != nil {
		return nil, err
	}
	head := make([]byte, length)
	if err := f.read(head, f.at); err != nil {
		return nil, err
	}
	f.at += length
	t := table{flatbuffers.Table{Bytes: head, Pos: flatbuffers.GetUOffsetT(head)}}
	m := &message{kind: t.GetByteSlot(slot(1), 0), from: f.at, length: t.GetInt64Slot(slot(3), 0)}
	if version := t.GetInt16Slot(slot(0), 0); version < leastVersion {
		return nil, fmt.Errorf("want a message of Arrow's version V4 or later, got V%d", version+1)
	}
	if m.header, ok = t.table(2); !ok {
		return nil, errors.New("want a message, got an empty one")
	}
	if m.length < 0 || m.length > f.end-f.at {
		return nil, fmt.Errorf("want values within the %d bytes left, got %d bytes", f.end-f.at, m.length)
	}
	f.at += m.length
	return m, nil
}

// hold notes that so many bytes more are held.
func (f *file) hold(bytes int) error {
	if err := f.allow(f.held + bytes); err != nil {
		return err
	}
	f.held += bytes
	return nil
}

// next reads up to the next rows; nil behind the last.
func (f *file) next() (*batch, error) {
	for f.batches++; ; {
		f.held = f.kept
		m, err := f.message()
		if m == nil || err != nil {
			return nil, err
		}
		switch m.kind {
		case kindBatch:
			return f.batch(m)
		case kindDictionary:
			if err := f.readDictionary(m); err != nil {
				return nil, fmt.Errorf("dictionary: %w", err)
			}
		default:
			return nil, fmt.Errorf("want rows or a dictionary, got a message of kind %d", m.kind)
		}
	}
}

// table reads the fields of a flatbuffer's table by their numbers. Places beyond the bytes panic.
type table struct{ flatbuffers.Table }

// slot is where a table of flatbuffers says where field n is.
func slot(n int) flatbuffers.VOffsetT { return flatbuffers.VOffsetT(4 + 2*n) }

// table is the table that field n is, or the union; not ok if there is none.
func (t *table) table(n int) (table, bool) {
	at := t.Offset(slot(n))
	if at == 0 {
		return table{}, false
	}
	return table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + flatbuffers.UOffsetT(at))}}, true
}

// text is the string that field n is; "" if there is none.
func (t *table) text(n int) string {
	at := t.Offset(slot(n))
	if at == 0 {
		return ""
	}
	return string(t.ByteVector(t.Pos + flatbuffers.UOffsetT(at)))
}

// list is a vector of a table, read from its first element on.
type list struct {
	t    *table
	at   flatbuffers.UOffsetT
	left int
}

// list is the vector that field n is; one without elements if there is none.
func (t *table) list(n int) list {
	at := flatbuffers.UOffsetT(t.Offset(slot(n)))
	if at == 0 {
		return list{t: t}
	}
	return list{t, t.Vector(at), t.VectorLen(at)}
}

// take moves by an element of so many bytes, and returns where it is.
func (l *list) take(bytes int) (flatbuffers.UOffsetT, error) {
	if l.left == 0 {
		return 0, errors.New("want as many buffers as the schema's fields have, got fewer")
	}
	at := l.at
	l.left, l.at = l.left-1, l.at+flatbuffers.UOffsetT(bytes)
	return at, nil
}

// pair takes a structure of two numbers.
func (l *list) pair() (a, b int64, err error) {
	at, err := l.take(16)
	if err != nil {
		return 0, 0, err
	}
	return l.t.GetInt64(at), l.t.GetInt64(at + 8), nil
}
