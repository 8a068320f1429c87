package arrowrows

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/agora-ml/agora/internal/columns"
)

// built is a flatbuffer's table in the making: a value for each field, nil for none.
type built []any

// pairs are a list of structures of two numbers.
type pairs [][2]int64

// add puts a table into b, and what is below it before.
func (t built) add(b *flatbuffers.Builder) flatbuffers.UOffsetT {
	below := make([]flatbuffers.UOffsetT, len(t))
	for i, v := range t {
		switch v := v.(type) {
		case built:
			below[i] = v.add(b)
		case string:
			below[i] = b.CreateString(v)
		case []built:
			var all []flatbuffers.UOffsetT
			for _, one := range v {
				all = append(all, one.add(b))
			}
			b.StartVector(4, len(all), 4)
			for _, at := range slices.Backward(all) {
				b.PrependUOffsetT(at)
			}
			below[i] = b.EndVector(len(all))
		case pairs:
			b.StartVector(16, len(v), 8)
			for _, p := range slices.Backward(v) {
				b.PrependInt64(p[1])
				b.PrependInt64(p[0])
			}
			below[i] = b.EndVector(len(v))
		}
	}
	b.StartObject(len(t))
	for i, v := range t {
		switch v := v.(type) {
		case built, string, []built, pairs:
			b.PrependUOffsetTSlot(i, below[i], 0)
		case byte:
			b.PrependByteSlot(i, v, 0)
		case bool:
			b.PrependBoolSlot(i, v, false)
		case int16:
			b.PrependInt16Slot(i, v, 0)
		case int32:
			b.PrependInt32Slot(i, v, 0)
		case int64:
			b.PrependInt64Slot(i, v, 0)
		}
	}
	return b.EndObject()
}

// framed is a message with its values behind it; length is what it says of these.
func framed(version int16, kind byte, header built, body []byte, length int64) []byte {
	b := flatbuffers.NewBuilder(0)
	b.Finish(built{version, kind, header, length}.add(b))
	head := b.FinishedBytes()
	head = append(head, make([]byte, -len(head)&7)...)
	out := binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, uint32(len(head)))
	return append(append(out, head...), body...)
}

func messageOf(kind byte, header built, body []byte) []byte {
	return framed(4, kind, header, body, int64(len(body)))
}

// Fields of a schema: name, nullable, the type's number and table, dictionary, fields.
func fieldOf(name string, kind kind, of built, more ...any) built {
	return append(built{name, true, byte(kind), of}, more...)
}

func schemaOf(fields ...built) []byte { return messageOf(kindSchema, built{nil, fields}, nil) }

func text(name string) built { return fieldOf(name, kindText, built{}) }
func null(name string) built { return fieldOf(name, kindNull, built{}) }
func dictionaryOf(name string, id int64) built {
	return fieldOf(name, kindText, built{}, built{id, built{int32(8), true}})
}

// rowsOf is a message of rows: their number, nodes and buffers.
func rowsOf(n int64, nodes, buffers pairs, body []byte) []byte {
	return messageOf(kindBatch, built{n, nodes, buffers}, body)
}

// letters are the buffers of "ab" and "c" as a column: places and letters.
var letters = append([]byte{0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0}, "abc\x00\x00\x00\x00\x00"...)

var errTooMany = errors.New("too many bytes")

func TestHandmade(t *testing.T) {
	plain := rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}, {0, 12}, {16, 3}}, letters)
	places := func(b ...byte) []byte { return rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}, {0, 2}}, b) }
	values := func(id int64, delta bool) []byte {
		return messageOf(kindDictionary, built{id, built{int64(2), pairs{{2, 0}}, pairs{{0, 0}, {0, 12}, {16, 3}}}, delta},
			letters)
	}
	packed := func(codec byte, method byte, body []byte) []byte {
		return messageOf(kindBatch, built{int64(2), pairs{{2, 0}}, pairs{{0, 0}, {0, int64(len(body))}, {0, 0}},
			built{codec, method}}, body)
	}
	deep := text("f")
	for range mostNesting + 2 {
		deep = fieldOf("f", kindStructure, built{}, nil, []built{deep})
	}
	within := func(name string, id int64, inner built) built { // a structure in a dictionary
		return fieldOf(name, kindStructure, built{}, built{id, built{int32(8), true}}, []built{inner})
	}
	small := fieldOf("i", kindInt, built{int32(8), true})
	list := fieldOf("l", kindList, built{}, nil, []built{null("item")})
	for _, c := range []struct {
		name  string
		file  [][]byte
		rows  string
		fails string
	}{
		{"texts", [][]byte{schemaOf(text("t")), plain, plain[:0]}, `{"t": "ab"} {"t": "c"}`, ""},
		{"no rows", [][]byte{schemaOf(text("t")), {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, plain}, "", ""},
		{"a dictionary", [][]byte{schemaOf(dictionaryOf("d", 7)), values(7, false), places(1, 0)},
			`{"d": "c"} {"d": "ab"}`, ""},
		{"one that grows", [][]byte{schemaOf(dictionaryOf("d", 7)), values(7, false), values(7, true), places(3, 0)},
			`{"d": "c"} {"d": "ab"}`, ""},
		{"one of nobody", [][]byte{schemaOf(text("t")), values(1, false), plain}, `{"t": "ab"} {"t": "c"}`, ""},
		{"places beyond a dictionary", [][]byte{schemaOf(dictionaryOf("d", 7)), values(7, false), places(0, 2)},
			`{"d": "ab"}`, `record batch 1, row 2: "d": want places in a dictionary, got 2`},
		{"places below it", [][]byte{schemaOf(dictionaryOf("d", 7)), values(7, false), places(0xff, 0)}, "",
			"want places in a dictionary, got -1"},
		{"no dictionary", [][]byte{schemaOf(dictionaryOf("d", 7)), places(0, 0)}, "",
			`"d": want a dictionary before its places`},
		{"two types of one dictionary", [][]byte{schemaOf(dictionaryOf("d", 7),
			fieldOf("e", kindLargeText, built{}, built{int64(7)}))}, "", "want one type of a dictionary's values"},
		{"a dictionary within itself", [][]byte{schemaOf(within("a", 1, within("b", 2, within("c", 1, small))))}, "",
			"want one type of a dictionary's values, got struct and struct"},
		{"nothing", nil, "", "want an Arrow file, which begins with ARROW1, or a stream"},
		{"JSON", [][]byte{[]byte(`{"text": "a"}`)}, "", "want an Arrow file"},
		{"half a file", [][]byte{[]byte("ARROW1\x00\x00"), schemaOf(text("t")), plain}, "",
			"want an Arrow file, which ends with ARROW1"},
		{"a long footer", [][]byte{[]byte("ARROW1\x00\x00"), schemaOf(text("t")), []byte("\xff\xff\xff\x7fARROW1")}, "",
			"footer: want at most"},
		{"rows first", [][]byte{plain}, "", "want a schema before all rows"},
		{"two schemas", [][]byte{schemaOf(text("t")), schemaOf(text("t"))}, "", "got a message of kind 1"},
		{"an old version", [][]byte{framed(2, kindSchema, built{nil, []built{text("t")}}, nil, 0)}, "", "got V3"},
		{"the high byte first", [][]byte{messageOf(kindSchema, built{int16(1), []built{text("t")}}, nil)}, "",
			"want numbers with the low byte first"},
		{"no columns", [][]byte{schemaOf()}, "", "want columns, got none"},
		{"a union", [][]byte{schemaOf(fieldOf("u", kindUnion, built{}))}, "", `"u": want a type that is known, and no union`},
		{"type 99", [][]byte{schemaOf(fieldOf("u", 99, built{}))}, "", "got number 99"},
		{"an int of 7 bits", [][]byte{schemaOf(fieldOf("i", kindInt, built{int32(7)}))}, "", "got 7"},
		{"a name of other bytes", [][]byte{schemaOf(text("\xff"))}, "", "want a name in UTF-8"},
		{"a list of two", [][]byte{schemaOf(fieldOf("l", kindList, built{}, nil, []built{text("a"), text("b")}))}, "",
			"want in a list what belongs there, got 2 fields"},
		{"a map of texts", [][]byte{schemaOf(fieldOf("m", kindMap, built{}, nil, []built{text("a")}))}, "",
			"want in a map what belongs there"},
		{"very deep", [][]byte{schemaOf(deep)}, "", "fields in one another, got more"},
		{"more values than bytes", [][]byte{schemaOf(text("t")), framed(4, kindBatch, built{int64(1)}, nil, 1<<40)}, "",
			"record batch 1: want values within the 0 bytes left"},
		{"a buffer beyond", [][]byte{schemaOf(text("t")), rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}, {16, 12}}, letters)}, "",
			`column "t": "t" of type string: want a buffer within 24 bytes, got 12 at 16`},
		{"one before", [][]byte{schemaOf(text("t")), rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}, {-8, 12}}, letters)}, "",
			"got 12 at -8"},
		{"a short buffer", [][]byte{schemaOf(text("t")), rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}, {0, 8}, {16, 3}}, letters)},
			"",
			"want 12 bytes for 2 values, got 8"},
		{"short letters", [][]byte{schemaOf(text("t")), rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}, {0, 12}, {16, 2}}, letters)},
			`{"t": "ab"}`, `"t": want places within 2, got 2 to 3`},
		{"few buffers", [][]byte{schemaOf(text("t")), rowsOf(2, pairs{{2, 0}}, pairs{{0, 0}}, letters)}, "",
			"want as many buffers as the schema's fields have"},
		{"no nulls to tell", [][]byte{schemaOf(text("t")),
			rowsOf(2, pairs{{2, 1}}, pairs{{0, 0}, {0, 12}, {16, 3}}, letters)}, "", "want 1 bytes for 2 values, got 0"},
		{"fewer values", [][]byte{schemaOf(text("t")), rowsOf(3, pairs{{2, 0}}, pairs{{0, 0}, {0, 12}, {16, 3}}, letters)}, "",
			"want 3 values, as there are rows, got 2"},
		{"values of no bytes", [][]byte{schemaOf(null("n")), rowsOf(1<<39, pairs{{1 << 39, 0}}, nil, nil)}, "",
			"want at most 0 rows in 0 bytes"},
		{"too many values", [][]byte{schemaOf(text("t")), rowsOf(1<<60, pairs{{1 << 60, 0}}, nil, nil)}, "", "want at most"},
		{"an endless list", [][]byte{schemaOf(list), rowsOf(1, pairs{{1, 0}, {1 << 30, 0}}, pairs{{0, 0}, {0, 8}},
			[]byte{0, 0, 0, 0, 0, 0, 0, 0x40})}, "bad: " + columns.ErrRow.Error(), ""},
		{"packed by what nobody knows", [][]byte{schemaOf(text("t")), packed(2, 0, make([]byte, 16))}, "",
			"want buffers packed by LZ4 or zstd"},
		{"packed together", [][]byte{schemaOf(text("t")), packed(0, 1, nil)}, "", "packed each for itself"},
		{"a packed size without end", [][]byte{schemaOf(text("t")), packed(1, 0, binary.LittleEndian.AppendUint64(nil, 1<<39))},
			"", "too many bytes"},
		{"packed bytes that are none", [][]byte{schemaOf(text("t")),
			packed(0, 0, append(binary.LittleEndian.AppendUint64(nil, 1<<20), "letters!"...))}, "", "want 1048576 bytes, got"},
	} {
		file := slices.Concat(c.file...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows, err := read(t, file, columns.Options{Allow: func(n int) error {
			if n > 1<<28 {
				return errTooMany
			}
			return nil
		}})
		runtime.ReadMemStats(&after)
		if got := strings.Join(rows, " "); got != c.rows {
			t.Errorf("%s: rows %.200s, want %s", c.name, got, c.rows)
		}
		if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.fails)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 160<<20 { // a row of 16 MiB, as it grows
			t.Errorf("%s: %d bytes of memory for a file of %d", c.name, used, len(file))
		}
	}
}
