package parquetrows

import (
	"fmt"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// What stands in a footer and before pages, as far as it is used. The numbers of fields are those of the format's
// parquet.thrift.

type metadata struct {
	schema    []element
	groups    []rowGroup
	encrypted bool
}

func (t *thriftReader) metadata() (m metadata) {
	t.fields(func(id int, k kind) bool {
		switch id {
		case 2:
			t.list(k, kindStruct, func() { m.schema = append(m.schema, t.element()) })
		case 4:
			t.list(k, kindStruct, func() { m.groups = append(m.groups, t.rowGroup()) })
		case 8:
			m.encrypted = true
			return false
		default:
			return false
		}
		return true
	})
	return m
}

// element is a field of the schema, behind which those in it stand.
type element struct {
	name       string
	physical   format.Type
	typed      bool // has a physical type
	length     int64
	repetition format.FieldRepetitionType
	children   int64
	meaning    meaning
}

// meaning is what values or structures stand for, beside what they are.
type meaning struct {
	name string // as the format calls it; "": what they are
	unit time.Duration
}

const (
	meansList   = "LIST"
	meansMap    = "MAP"
	meansString = "STRING"
	meansUint   = "UINT"
	meansDate   = "DATE"
	meansTime   = "TIMESTAMP"
	meansNull   = "UNKNOWN"
)

func (t *thriftReader) element() (e element) {
	var older meaning
	t.fields(func(id int, k kind) bool {
		switch id {
		case 1:
			e.physical, e.typed = format.Type(t.int(k)), true
		case 2:
			e.length = t.int(k)
		case 3:
			e.repetition = format.FieldRepetitionType(t.int(k))
		case 4:
			e.name = t.text(k)
		case 5:
			e.children = t.int(k)
		case 6:
			older = convertedType(deprecated.ConvertedType(t.int(k)))
		case 10:
			e.meaning = t.logicalType(k)
		default:
			return false
		}
		return true
	})
	if e.meaning == (meaning{}) {
		e.meaning = older
	}
	return e
}

// logicalTypes are names by their numbers in the union LogicalType.
var logicalTypes = map[int]string{1: meansString, 2: meansMap, 3: meansList, 4: meansString, 5: "DECIMAL", 6: meansDate,
	7: "TIME", 8: meansTime, 10: meansUint, 11: meansNull, 12: meansString, 13: "BSON", 14: "UUID", 15: "FLOAT16",
	16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY"}

func (t *thriftReader) logicalType(k kind) (m meaning) {
	t.structure(k, func(id int, k kind) bool {
		m.name = logicalTypes[id] // of a later version: none, and the values are read as what they are
		switch m.name {
		case meansTime:
			m.unit = t.unit(k)
		case meansUint:
			t.structure(k, func(id int, k kind) bool {
				if id == 2 && k == kindTrue {
					m.name = "" // signed
				}
				return false
			})
		default:
			return false
		}
		return true
	})
	return m
}

// unit reads that of a timestamp.
func (t *thriftReader) unit(k kind) (unit time.Duration) {
	t.structure(k, func(id int, k kind) bool {
		if id != 2 {
			return false
		}
		t.structure(k, func(id int, _ kind) bool {
			unit = map[int]time.Duration{1: time.Millisecond, 2: time.Microsecond, 3: time.Nanosecond}[id]
			return false
		})
		return true
	})
	return unit
}

// convertedType is what older files say in place of a logical type.
func convertedType(c deprecated.ConvertedType) meaning {
	switch c {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json:
		return meaning{name: meansString}
	case deprecated.List:
		return meaning{name: meansList}
	case deprecated.Map, deprecated.MapKeyValue:
		return meaning{name: meansMap}
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		return meaning{}
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return meaning{name: meansUint}
	case deprecated.Date:
		return meaning{name: meansDate}
	case deprecated.TimestampMillis:
		return meaning{meansTime, time.Millisecond}
	case deprecated.TimestampMicros:
		return meaning{meansTime, time.Microsecond}
	case deprecated.Decimal:
		return meaning{name: "DECIMAL"}
	}
	return meaning{name: fmt.Sprintf("converted type %d", c)}
}

type rowGroup struct {
	chunks []chunk
	rows   int64
}

func (t *thriftReader) rowGroup() (g rowGroup) {
	t.fields(func(id int, k kind) bool {
		switch id {
		case 1:
			t.list(k, kindStruct, func() { g.chunks = append(g.chunks, t.chunk()) })
		case 3:
			g.rows = t.int(k)
		default:
			return false
		}
		return true
	})
	return g
}

// chunk is where a column of a row group is.
type chunk struct {
	file             string // "": the same
	physical         format.Type
	codec            format.CompressionCodec
	values, bytes    int64
	data, dictionary int64 // bytes before them; 0: no dictionary
}

func (t *thriftReader) chunk() (c chunk) {
	t.fields(func(id int, k kind) bool {
		switch id {
		case 1:
			c.file = t.text(k)
		case 3:
			t.structure(k, func(id int, k kind) bool { return t.chunkMetadata(&c, id, k) })
		default:
			return false
		}
		return true
	})
	return c
}

func (t *thriftReader) chunkMetadata(c *chunk, id int, k kind) bool {
	switch id {
	case 1:
		c.physical = format.Type(t.int(k))
	case 4:
		c.codec = format.CompressionCodec(t.int(k))
	case 5:
		c.values = t.int(k)
	case 7:
		c.bytes = t.int(k)
	case 9:
		c.data = t.int(k)
	case 11:
		c.dictionary = t.int(k)
	default:
		return false
	}
	return true
}

// pageHeader is what stands before a page.
type pageHeader struct {
	kind             format.PageType
	unpacked, packed int64 // bytes
	crc              uint32
	checked          bool // has a crc

	// Of a page of values or a dictionary.
	found              bool
	values             int64
	encoding           format.Encoding
	repLevel, defLevel format.Encoding // of a data page
	repBytes, defBytes int64           // of one of version 2
	plain              bool            // one whose values are not packed
}

func (t *thriftReader) pageHeader() (h pageHeader) {
	t.fields(func(id int, k kind) bool {
		switch id {
		case 1:
			h.kind = format.PageType(t.int(k))
		case 2:
			h.unpacked = t.int(k)
		case 3:
			h.packed = t.int(k)
		case 4:
			h.crc, h.checked = uint32(t.int(k)), true
		case 5, 7:
			h.found = true
			t.structure(k, func(id int, k kind) bool { return t.dataHeader(&h, id, k) })
		case 8:
			h.found = true
			t.structure(k, func(id int, k kind) bool { return t.dataHeaderV2(&h, id, k) })
		default:
			return false
		}
		return true
	})
	return h
}

// dataHeader reads DataPageHeader, and DictionaryPageHeader, which begins like it.
func (t *thriftReader) dataHeader(h *pageHeader, id int, k kind) bool {
	switch {
	case id == 1:
		h.values = t.int(k)
	case id == 2:
		h.encoding = format.Encoding(t.int(k))
	case id == 3 && h.kind == format.DataPage:
		h.defLevel = format.Encoding(t.int(k))
	case id == 4:
		h.repLevel = format.Encoding(t.int(k))
	default:
		return false
	}
	return true
}

func (t *thriftReader) dataHeaderV2(h *pageHeader, id int, k kind) bool {
	switch id {
	case 1:
		h.values = t.int(k)
	case 4:
		h.encoding = format.Encoding(t.int(k))
	case 5:
		h.defBytes = t.int(k)
	case 6:
		h.repBytes = t.int(k)
	case 7:
		h.plain = k == kindFalse
		return false
	default:
		return false
	}
	return true
}
