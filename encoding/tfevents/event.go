package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A protobuf message is a sequence of fields, each a key (field number × 8 + wire type,
// as varint) and a value. Wire types: a varint, 8 bytes, a length and as many bytes, 4 bytes.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// Field numbers of event.proto and summary.proto.
const (
	eventWallTime    = 1 // double
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary

	summaryValue = 1 // repeated Value

	valueTag         = 1 // string
	valueSimpleValue = 2 // float
)

// appendEvent adds e as a message. As proto3 has it, a wall time or step of zero is left
// out, and fields come in the order of their numbers.
func appendEvent(b []byte, e Event) []byte {
	if e.WallTime != 0 {
		b = binary.AppendUvarint(b, eventWallTime<<3|wire64)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.WallTime))
	}
	if e.Step != 0 {
		b = binary.AppendUvarint(b, eventStep<<3|wireVarint)
		b = binary.AppendUvarint(b, uint64(e.Step))
	}
	if e.FileVersion != "" { // a oneof: an event says one thing
		return appendBytes(b, eventFileVersion, []byte(e.FileVersion))
	}
	var summary []byte
	for _, s := range e.Scalars {
		value := appendBytes(nil, valueTag, []byte(s.Tag))
		value = binary.AppendUvarint(value, valueSimpleValue<<3|wire32)
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(s.Value))
		summary = appendBytes(summary, summaryValue, value)
	}
	return appendBytes(b, eventSummary, summary)
}

func appendBytes(b []byte, number int, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|wireBytes)
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// field is one field of a message: bits for numbers, bytes for the rest.
type field struct {
	number uint64
	wire   uint64
	bits   uint64
	bytes  []byte
}

// eachField calls f on the fields of a message in their order.
func eachField(b []byte, f func(field) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("want a field's number, got a broken varint")
		}
		b = b[n:]
		x := field{number: key >> 3, wire: key & 7}
		switch x.wire {
		case wireVarint:
			if x.bits, n = binary.Uvarint(b); n <= 0 {
				return fmt.Errorf("field %d: want a varint, got a broken one", x.number)
			}
			b = b[n:]
		case wireBytes:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return fmt.Errorf("field %d: want its bytes, got a length beyond the message's end", x.number)
			}
			x.bytes, b = b[n:n+int(length)], b[n+int(length):]
		case wire64, wire32:
			fixed := 4
			if x.wire == wire64 {
				fixed = 8
			}
			if len(b) < fixed {
				return fmt.Errorf("field %d: want %d bytes, got %d", x.number, fixed, len(b))
			}
			for i, v := range b[:fixed] {
				x.bits |= uint64(v) << (8 * i)
			}
			b = b[fixed:]
		default:
			return fmt.Errorf("field %d: want a wire type of 0, 1, 2 or 5, got %d", x.number, x.wire)
		}
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// is reports whether x is the named field; as protobuf asks for, a field of another wire type is
// passed over like an unknown one.
func (x field) is(number, wire uint64) bool { return x.number == number && x.wire == wire }

func parseEvent(b []byte) (e Event, err error) {
	err = eachField(b, func(x field) error {
		switch {
		case x.is(eventWallTime, wire64):
			e.WallTime = math.Float64frombits(x.bits)
		case x.is(eventStep, wireVarint):
			e.Step = int64(x.bits)
		case x.is(eventFileVersion, wireBytes):
			e.FileVersion = string(x.bytes)
		case x.is(eventSummary, wireBytes):
			return eachField(x.bytes, func(v field) error {
				if !v.is(summaryValue, wireBytes) {
					return nil
				}
				s, simple, err := parseValue(v.bytes)
				if simple {
					e.Scalars = append(e.Scalars, s)
				}
				return err
			})
		}
		return nil
	})
	return e, err
}

// parseValue reads one value of a summary; simple says whether it is a scalar.
func parseValue(b []byte) (s Scalar, simple bool, err error) {
	err = eachField(b, func(x field) error {
		switch {
		case x.is(valueTag, wireBytes):
			s.Tag = string(x.bytes)
		case x.is(valueSimpleValue, wire32):
			s.Value, simple = math.Float32frombits(uint32(x.bits)), true
		}
		return nil
	})
	return s, simple, err
}
