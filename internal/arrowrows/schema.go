package arrowrows

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/agora-ml/agora/internal/columns"
)

// field is a column, or a field of a structure in it.
type field struct {
	name, path string // path as in JSON: messages[].role
	key        string // what stands before its value in JSON
	kind       kind
	write      func(w *writer, a *array, i int) error // nil: its values are refused
	bits       int                                    // of a value, or of a place where a text or list begins
	signed     bool
	unit       time.Duration
	length     int // of lists that are all as long
	fields     []*field
	dictionary *int64 // where the values are that these are places in; nil: nowhere
	absent     bool   // not read
}

// kind is a type, as the union of Schema.fbs numbers them.
type kind byte

const (
	kindNull kind = iota + 1
	kindInt
	kindFloat
	kindBinary
	kindText
	kindBool
	kindDecimal
	kindDate
	kindTime
	kindTimestamp
	kindInterval
	kindList
	kindStructure
	kindUnion
	kindFixedBinary
	kindFixedList
	kindMap
	kindDuration
	kindLargeBinary
	kindLargeText
	kindLargeList
	kindRunEnds
	kindBinaryView
	kindTextView
	kindListView
	kindLargeListView
)

// kinds has for each kind its name, how many buffers its values have with that of nulls, and how many fields are in it;
// below 0: any number.
var kinds = []struct {
	name            string
	buffers, fields int
}{
	kindNull: {"null", 0, 0}, kindInt: {"int", 2, 0}, kindFloat: {"float", 2, 0}, kindBinary: {"binary", 3, 0},
	kindText: {"string", 3, 0}, kindBool: {"bool", 2, 0}, kindDecimal: {"decimal", 2, 0}, kindDate: {"date", 2, 0},
	kindTime: {"time", 2, 0}, kindTimestamp: {"timestamp", 2, 0}, kindInterval: {"interval", 2, 0},
	kindList: {"list", 2, 1}, kindStructure: {"struct", 1, -1}, kindFixedBinary: {"fixed_size_binary", 2, 0},
	kindFixedList: {"fixed_size_list", 1, 1}, kindMap: {"map", 2, 1}, kindDuration: {"duration", 2, 0},
	kindLargeBinary: {"large_binary", 3, 0}, kindLargeText: {"large_string", 3, 0}, kindLargeList: {"large_list", 2, 1},
	kindRunEnds: {"run_end_encoded", 0, 2}, kindBinaryView: {"binary_view", 2, 0}, kindTextView: {"string_view", 2, 0},
	kindListView: {"list_view", 3, 1}, kindLargeListView: {"large_list_view", 3, 1},
}

func (k kind) String() string { return kinds[k].name }

const (
	mostFields  = 1 << 14 // of a schema; flatbuffers may have one in many places
	mostNesting = 32
)

// readSchema makes fields of a table Schema.
func (f *file) readSchema(t table) (err error) {
	if t.GetInt16Slot(slot(0), 0) != 0 {
		return errors.New("want numbers with the low byte first, got the high one")
	}
	s := schemaReader{left: mostFields, encoded: f.encoded}
	if f.fields, err = s.fields(t.list(1), nil, 0); err == nil && len(f.fields) == 0 {
		err = errors.New("want columns, got none")
	}
	return err
}

type schemaReader struct {
	left    int              // fields that there may be
	encoded map[int64]*field // what is in each dictionary
}

// fields makes those of a list; in is the field that they are in.
func (s *schemaReader) fields(l list, in *field, depth int) (all []*field, err error) {
	if depth > mostNesting && l.left > 0 {
		return nil, fmt.Errorf("%.60q: want at most %d fields in one another, got more", in.path, mostNesting)
	}
	for l.left > 0 {
		if s.left--; s.left < 0 {
			return nil, fmt.Errorf("want at most %d fields, got more", mostFields)
		}
		at, _ := l.take(4)
		n, err := s.field(table{flatbuffers.Table{Bytes: l.t.Bytes, Pos: l.t.Indirect(at)}}, in, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// field makes a field of a table Field.
func (s *schemaReader) field(t table, in *field, depth int) (n *field, err error) {
	n = &field{name: t.text(0), kind: kind(t.GetByteSlot(slot(2), 0))}
	switch n.path = n.name; {
	case in == nil:
	case in.kind == kindStructure || in.kind == kindMap:
		n.path = in.path + "." + n.name
	default: // the name of what is in a list says nothing
		n.path = in.path + "[]"
	}
	if !utf8.ValidString(n.name) {
		return nil, fmt.Errorf("%.60q: want a name in UTF-8, got other bytes", n.path)
	}
	n.key = columns.Quoted(n.name) + ": "
	if int(n.kind) >= len(kinds) || n.kind.String() == "" {
		return nil, fmt.Errorf("%.60q: want a type that is known, and no union, got number %d", n.path, n.kind)
	}
	if of, ok := t.table(3); ok {
		err = n.setType(of)
	}
	if err == nil {
		n.fields, err = s.fields(t.list(5), n, depth+1)
	}
	if err != nil {
		return nil, fmt.Errorf("%.60q: %w", n.path, err)
	}
	want, pair := kinds[n.kind].fields, n.kind != kindMap || len(n.fields) == 1 && len(n.fields[0].fields) == 2
	if want >= 0 && len(n.fields) != want || !pair {
		return nil, fmt.Errorf("%.60q: want in a %s what belongs there, got %d fields", n.path, n.kind, len(n.fields))
	}
	if encoding, ok := t.table(4); ok {
		return s.encode(n, encoding)
	}
	return n, nil
}

// encode makes of a field one whose values are places in a dictionary, by a table DictionaryEncoding.
func (s *schemaReader) encode(values *field, t table) (*field, error) {
	id := t.GetInt64Slot(slot(0), 0)
	n := &field{name: values.name, path: values.path, key: values.key, kind: kindInt, dictionary: &id, bits: 32,
		signed: true, write: (*writer).integer}
	if of, ok := t.table(1); ok {
		if err := n.setType(of); err != nil {
			return nil, fmt.Errorf("%.60q: %w", n.path, err)
		}
	}
	if known := s.encoded[id]; known != nil && !sameLayout(known, values) {
		return nil, fmt.Errorf("%.60q: want one type of a dictionary's values, got %s and %s", n.path, known.kind,
			values.kind)
	}
	s.encoded[id] = values
	return n, nil
}

// sameLayout reports whether values of two fields lie alike. Those of one dictionary do, which therefore is not within
// itself.
func sameLayout(a, b *field) bool {
	same := a.kind == b.kind && a.bits == b.bits && a.length == b.length &&
		slices.EqualFunc(a.fields, b.fields, sameLayout)
	if a.dictionary == nil || b.dictionary == nil {
		return same && a.dictionary == b.dictionary
	}
	return same && *a.dictionary == *b.dictionary
}

var units = []time.Duration{time.Second, time.Millisecond, time.Microsecond, time.Nanosecond}

// setType takes in what the table of a type says of it.
func (n *field) setType(t table) error {
	first := slot(0)
	n.signed = true
	switch n.kind {
	case kindNull:
		n.write = (*writer).null
	case kindInt:
		n.bits, n.signed, n.write = int(t.GetInt32Slot(first, 0)), t.GetBoolSlot(slot(1), false), (*writer).integer
		if !slices.Contains([]int{8, 16, 32, 64}, n.bits) {
			return fmt.Errorf("want an int of 8, 16, 32 or 64 bits, got %d", n.bits)
		}
	case kindFloat:
		precision := t.GetInt16Slot(first, 0)
		if precision < 0 || precision > 2 {
			return fmt.Errorf("want a float of half, single or double precision, got number %d", precision)
		}
		n.bits, n.write = 16<<precision, (*writer).float
	case kindBool:
		n.bits, n.write = 1, (*writer).flag
	case kindDate:
		n.bits, n.write = 32, (*writer).date
		if t.GetInt16Slot(first, 1) == 1 { // milliseconds, not days
			n.bits = 64
		}
	case kindTimestamp:
		unit := t.GetInt16Slot(first, 0)
		if unit < 0 || int(unit) >= len(units) {
			return fmt.Errorf("want a timestamp in units from seconds to nanoseconds, got number %d", unit)
		}
		n.bits, n.unit, n.write = 64, units[unit], (*writer).timestamp
	case kindBinary, kindText:
		n.bits, n.write = 32, (*writer).text
	case kindLargeBinary, kindLargeText:
		n.bits, n.write = 64, (*writer).text
	case kindBinaryView, kindTextView:
		n.bits, n.write = 128, (*writer).view
	case kindList:
		n.bits, n.write = 32, (*writer).list
	case kindLargeList:
		n.bits, n.write = 64, (*writer).list
	case kindFixedList:
		n.length, n.write = int(t.GetInt32Slot(first, 0)), (*writer).list
		if n.length < 0 {
			return fmt.Errorf("want lists of a length, got %d", n.length)
		}
	case kindMap:
		n.bits, n.write = 32, (*writer).mapping
	case kindStructure:
		n.write = (*writer).structure
	}
	return nil
}
