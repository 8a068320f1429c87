package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
)

// field is one field of a protobuf message. Which of number and data holds its value
// depends on the wire type: varint and fixed types the first, length-delimited the
// second.
type field struct {
	num    int
	wire   int
	number uint64
	data   []byte
}

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// eachField walks the fields of a protobuf message
// (https://protobuf.dev/programming-guides/encoding).
func eachField(b []byte, visit func(field) error) error {
	size := len(b)
	for len(b) > 0 {
		at := size - len(b)
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29-1 {
			return fmt.Errorf("byte %d: want a protobuf field, got %x", at, b[:min(len(b), 10)])
		}
		b = b[n:]
		f := field{num: int(key >> 3), wire: int(key & 7)}
		n = 0
		switch f.wire {
		case wireVarint:
			f.number, n = binary.Uvarint(b)
		case wireFixed64:
			if len(b) >= 8 {
				f.number, n = binary.LittleEndian.Uint64(b), 8
			}
		case wireFixed32:
			if len(b) >= 4 {
				f.number, n = uint64(binary.LittleEndian.Uint32(b)), 4
			}
		case wireBytes:
			length, k := binary.Uvarint(b)
			if k > 0 && length <= uint64(len(b)-k) {
				n = k + int(length)
				f.data = b[k:n]
			}
		default:
			return fmt.Errorf("byte %d: want wire type 0, 1, 2 or 5 in field %d, got %d", at, f.num, f.wire)
		}
		if n <= 0 {
			return fmt.Errorf("byte %d: want a value for field %d (wire type %d), got the end of the message", at,
				f.num, f.wire)
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// The readers of one field's value fail where the file has another wire type.

func (f field) into(wire int) error {
	if f.wire != wire {
		return fmt.Errorf("field %d: want wire type %d, got %d", f.num, wire, f.wire)
	}
	return nil
}

func (f field) readInt(v *int) error {
	*v = int(int32(f.number))
	return f.into(wireVarint)
}

func (f field) readBool(v *bool) error {
	*v = f.number != 0
	return f.into(wireVarint)
}

func (f field) readFloat(v *float32) error {
	*v = math.Float32frombits(uint32(f.number))
	return f.into(wireFixed32)
}

func (f field) readString(v *string) error {
	*v = string(f.data)
	return f.into(wireBytes)
}

func (f field) readMessage(visit func(field) error) error {
	if err := f.into(wireBytes); err != nil {
		return err
	}
	return eachField(f.data, visit)
}
