package parquetrows

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	mostItems   = 1 << 18 // structures in lists: of a file, a column chunk is one
	mostNesting = 32
)

// thriftReader reads structures in Thrift's compact protocol. No list and no text is taken for longer than what is left
// of the bytes. Once something is wrong, err says so and what is read is 0.
type thriftReader struct {
	b     []byte
	at    int
	items int
	depth int
	err   error
}

// kind is a type of the protocol.
type kind byte

const (
	kindTrue kind = iota + 1
	kindFalse
	kindByte
	kindInt16
	kindInt32
	kindInt64
	kindDouble
	kindBinary
	kindList
	kindSet
	kindMap
	kindStruct
)

func (t *thriftReader) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// fields reads a structure. field takes what it knows, by the number of the field; it returns false for others.
func (t *thriftReader) fields(field func(id int, k kind) bool) {
	if t.depth++; t.depth > mostNesting {
		t.fail(fmt.Errorf("want at most %d structures in one another, got more", mostNesting))
	}
	id := 0
	for t.err == nil {
		head := t.byte()
		if head == 0 {
			break
		}
		if head>>4 == 0 {
			id = int(int16(t.integer()))
		} else {
			id += int(head >> 4)
		}
		if k := kind(head & 15); t.err == nil && !field(id, k) {
			t.pass(k)
		}
	}
	t.depth--
}

// pass goes over a field that nobody takes. Those that are true or false have no bytes of their own.
func (t *thriftReader) pass(k kind) {
	if k != kindTrue && k != kindFalse {
		t.skip(k)
	}
}

// skip goes over a value.
func (t *thriftReader) skip(k kind) {
	switch k {
	case kindTrue, kindFalse, kindByte:
		t.bytes(1)
	case kindInt16, kindInt32, kindInt64:
		t.number()
	case kindDouble:
		t.bytes(8)
	case kindBinary:
		t.bytes(t.number())
	case kindList, kindSet:
		t.list(k, 0, nil)
	case kindStruct:
		t.fields(func(int, kind) bool { return false })
	default:
		t.fail(fmt.Errorf("want a type of Thrift's that Parquet has, got number %d", k))
	}
}

// list reads a list whose elements are of a type; with nil it goes over one of any.
func (t *thriftReader) list(k, want kind, element func()) {
	if k != kindList && k != kindSet {
		t.fail(fmt.Errorf("want a list, got Thrift's type %d", k))
		return
	}
	head := t.byte()
	size, of := uint64(head>>4), kind(head&15)
	if size == 15 {
		size = t.number()
	}
	switch {
	case t.err != nil:
		return
	case size > uint64(len(t.b)-t.at):
		t.fail(errShort)
	case element != nil && of != want && size > 0:
		t.fail(fmt.Errorf("want a list of Thrift's type %d, got one of %d", want, of))
	}
	if of == kindStruct || of == kindList || of == kindSet {
		if t.items += int(size); t.items > mostItems {
			t.fail(fmt.Errorf("want at most %d row groups, columns and their properties, got more", mostItems))
		}
		if t.depth++; t.depth > mostNesting {
			t.fail(fmt.Errorf("want at most %d lists in one another, got more", mostNesting))
		}
		defer func() { t.depth-- }()
	}
	for ; size > 0 && t.err == nil; size-- {
		if element == nil {
			t.skip(of)
		} else {
			element()
		}
	}
}

// int reads a field that is a number.
func (t *thriftReader) int(k kind) int64 {
	if k < kindInt16 || k > kindInt64 {
		t.fail(fmt.Errorf("want a number, got Thrift's type %d", k))
		return 0
	}
	return t.integer()
}

// text reads a field that is one.
func (t *thriftReader) text(k kind) string {
	if k != kindBinary {
		t.fail(fmt.Errorf("want a text, got Thrift's type %d", k))
		return ""
	}
	return string(t.bytes(t.number()))
}

// structure makes sure that a field is one, and reads it.
func (t *thriftReader) structure(k kind, field func(id int, k kind) bool) {
	if k != kindStruct {
		t.fail(fmt.Errorf("want a structure, got Thrift's type %d", k))
		return
	}
	t.fields(field)
}

func (t *thriftReader) integer() int64 {
	n := t.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (t *thriftReader) number() uint64 {
	n, length := binary.Uvarint(t.b[t.at:])
	switch {
	case t.err != nil:
		return 0
	case length == 0:
		t.fail(errShort)
		return 0
	case length < 0:
		t.fail(errors.New("want a number of 64 bits, got more"))
		return 0
	}
	t.at += length
	return n
}

func (t *thriftReader) byte() byte {
	if b := t.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (t *thriftReader) bytes(n uint64) []byte {
	if t.err == nil && n > uint64(len(t.b)-t.at) {
		t.fail(errShort)
	}
	if t.err != nil {
		return nil
	}
	t.at += int(n)
	return t.b[t.at-int(n) : t.at]
}
