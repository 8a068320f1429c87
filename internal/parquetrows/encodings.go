package parquetrows

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/bytestreamsplit"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/plain"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// decode decodes n values of a page or of a dictionary.
func (c *column) decode(encoding format.Encoding, data []byte, n int) (v *values, err error) {
	v = &values{}
	unknown := fmt.Errorf("want an encoding that is known for it, got %s", encoding)
	switch c.physical {
	case format.Boolean:
		err = v.decodeFlags(encoding, data, n, unknown)
	case format.Int32, format.Int64:
		err = v.decodeInts(c.physical, encoding, data, n, unknown)
	case format.Float, format.Double:
		err = v.decodeFloats(c.physical, encoding, data, unknown)
	case format.ByteArray:
		err = v.decodeTexts(encoding, data, n, unknown)
	default: // no value of another type is read
	}
	if err != nil {
		return nil, err
	}
	if have := v.count(c.physical); have < n {
		return nil, fmt.Errorf("want %d values, got %d", n, have)
	}
	return v, nil
}

// count is how many values there are; of types that are not read as many as one likes.
func (v *values) count(t format.Type) int {
	switch t {
	case format.Boolean:
		return len(v.flags)
	case format.Int32:
		return len(v.int32s)
	case format.Int64:
		return len(v.int64s)
	case format.Float:
		return len(v.floats)
	case format.Double:
		return len(v.doubles)
	case format.ByteArray:
		return max(len(v.offsets), 1) - 1
	}
	return mostValues
}

func (v *values) decodeFlags(encoding format.Encoding, data []byte, n int, unknown error) (err error) {
	switch encoding {
	case format.Plain:
		for i := range min(n, 8*len(data)) {
			v.flags = append(v.flags, data[i/8]>>(i%8)&1)
		}
		return nil
	case format.RLE:
		if len(data) < 4 {
			return errShort
		}
		v.flags, err = decodeLevels(data[4:], 1, n) // before it is its length, which nothing follows
		return err
	}
	return unknown
}

func (v *values) decodeInts(t format.Type, encoding format.Encoding, data []byte, n int, unknown error) (err error) {
	var p plain.Encoding
	var d delta.BinaryPackedEncoding
	switch {
	case encoding == format.Plain && t == format.Int32:
		v.int32s, err = p.DecodeInt32(nil, data)
	case encoding == format.Plain:
		v.int64s, err = p.DecodeInt64(nil, data)
	case encoding == format.DeltaBinaryPacked && t == format.Int32:
		if _, err = checkDeltas(data, 32, n); err == nil {
			v.int32s, err = d.DecodeInt32(nil, data)
		}
	case encoding == format.DeltaBinaryPacked:
		if _, err = checkDeltas(data, 64, n); err == nil {
			v.int64s, err = d.DecodeInt64(nil, data)
		}
	default:
		return unknown
	}
	return err
}

func (v *values) decodeFloats(t format.Type, encoding format.Encoding, data []byte, unknown error) (err error) {
	var p plain.Encoding
	var s bytestreamsplit.Encoding
	switch {
	case encoding == format.Plain && t == format.Float:
		v.floats, err = p.DecodeFloat(nil, data)
	case encoding == format.Plain:
		v.doubles, err = p.DecodeDouble(nil, data)
	case encoding == format.ByteStreamSplit && t == format.Float:
		v.floats, err = s.DecodeFloat(nil, data)
	case encoding == format.ByteStreamSplit:
		v.doubles, err = s.DecodeDouble(nil, data)
	default:
		return unknown
	}
	return err
}

func (v *values) decodeTexts(encoding format.Encoding, data []byte, n int, unknown error) (err error) {
	switch encoding {
	case format.Plain:
		var p plain.Encoding
		v.bytes, v.offsets, err = p.DecodeByteArray(nil, data, nil)
	case format.DeltaLengthByteArray:
		if err = checkTexts(data, n); err == nil {
			var d delta.LengthByteArrayEncoding
			v.bytes, v.offsets, err = d.DecodeByteArray(nil, data, nil)
		}
	case format.DeltaByteArray:
		err = v.decodePrefixed(data, n)
	default:
		return unknown
	}
	return err
}

// checkTexts makes sure that texts, which are behind all their lengths, are as long as these say.
func checkTexts(data []byte, n int) error {
	lengths, rest, err := deltaLengths(data, n)
	if err != nil {
		return err
	}
	for _, l := range lengths {
		if int(l) > len(rest) {
			return errShort
		}
		rest = rest[l:]
	}
	return nil
}

// decodePrefixed decodes DELTA_BYTE_ARRAY, of which each text begins as the one before does. A few bytes may
// stand for very many, so that the sum is known first.
func (v *values) decodePrefixed(data []byte, n int) (err error) {
	prefixes, rest, err := deltaLengths(data, n)
	if err != nil {
		return err
	}
	suffixes, _, err := deltaLengths(rest, n)
	if err != nil {
		return err
	}
	sum := 0
	for _, lengths := range [][]int32{prefixes, suffixes} {
		for _, l := range lengths {
			if sum += int(l); sum > maxPage {
				return fmt.Errorf("want at most %d bytes of texts in a page, got more", maxPage)
			}
		}
	}
	var d delta.ByteArrayEncoding
	v.bytes, v.offsets, err = d.DecodeByteArray(nil, data, nil)
	return err
}

// deltaLengths decodes the lengths that data begins with; none is below 0.
func deltaLengths(data []byte, n int) (lengths []int32, rest []byte, err error) {
	size, err := checkDeltas(data, 32, n)
	if err != nil {
		return nil, nil, err
	}
	var d delta.BinaryPackedEncoding
	if lengths, err = d.DecodeInt32(nil, data[:size]); err != nil {
		return nil, nil, err
	}
	for _, l := range lengths {
		if l < 0 {
			return nil, nil, fmt.Errorf("want a length of a text, got %d", l)
		}
	}
	return lengths, data[size:], nil
}

// checkDeltas walks over DELTA_BINARY_PACKED numbers of so many bits, of which there may be n, and returns how many
// bytes they are.
func checkDeltas(data []byte, bits, n int) (size int, err error) {
	at := 0
	number := func() uint64 {
		x, length := binary.Uvarint(data[at:])
		if length <= 0 {
			err, length = errShort, 0
		}
		at += length
		return x
	}
	block, parts, total := number(), number(), number()
	number() // the first
	switch {
	case err != nil:
		return 0, err
	case block < 1 || block > 1<<16 || parts < 1 || parts > block || block%parts != 0 || block/parts%8 != 0:
		return 0, fmt.Errorf("want blocks of packed numbers, got %d in %d parts", block, parts)
	case total > uint64(n):
		return 0, fmt.Errorf("want at most %d packed numbers, got %d", n, total)
	}
	for left := int64(total) - 1; left > 0; {
		number() // the least difference
		if err != nil || int(parts) > len(data)-at {
			return 0, errShort
		}
		widths := data[at : at+int(parts)]
		at += int(parts)
		for _, width := range widths {
			if left <= 0 {
				break
			}
			if int(width) > bits {
				return 0, fmt.Errorf("want numbers of %d bits, got %d", bits, width)
			}
			left -= int64(block / parts)
			if at += int(block/parts) / 8 * int(width); at > len(data) {
				return 0, errShort
			}
		}
	}
	return at, nil
}

// decodeLevels decodes n numbers of at most 8 bits, in runs.
func decodeLevels(data []byte, bits uint, n int) ([]byte, error) {
	if err := checkRuns(data, bits, n); err != nil {
		return nil, err
	}
	levels, err := (&rle.Encoding{BitWidth: int(bits)}).DecodeLevels(nil, data)
	if err != nil {
		return nil, err
	}
	if len(levels) < n {
		return nil, fmt.Errorf("want %d levels, got %d", n, len(levels))
	}
	return levels[:n], nil
}

// decodeIndexes decodes n places in a dictionary, in runs behind the number of their bits.
func decodeIndexes(data []byte, n, size int) ([]int32, error) {
	if n == 0 {
		return nil, nil
	}
	if len(data) == 0 {
		return nil, errShort
	}
	if data[0] > 32 {
		return nil, fmt.Errorf("want places of at most 32 bits in the dictionary, got %d", data[0])
	}
	if err := checkRuns(data[1:], uint(data[0]), n); err != nil {
		return nil, err
	}
	indexes, err := new(rle.DictionaryEncoding).DecodeInt32(nil, data)
	if err != nil {
		return nil, err
	}
	if len(indexes) < n {
		return nil, fmt.Errorf("want %d places in the dictionary, got %d", n, len(indexes))
	}
	for _, i := range indexes[:n] {
		if i < 0 || int(i) >= size {
			return nil, fmt.Errorf("want places in a dictionary of %d values, got %d", size, i)
		}
	}
	return indexes[:n], nil
}

// checkRuns walks over runs of numbers, which are one number repeated or eight packed a few times, and makes sure
// that they are hardly more than n.
func checkRuns(data []byte, bits uint, n int) error {
	const padding = 1024 // numbers that writers put behind the last
	var total uint64
	for at := 0; at < len(data); {
		head, length := binary.Uvarint(data[at:])
		if length <= 0 {
			return errShort
		}
		at += length
		count, bytes := head>>1, uint64(bits+7)/8
		if count > mostValues {
			return errors.New("want runs of numbers, got a longer one than a page may hold")
		}
		if head&1 == 1 {
			bytes = count * uint64(bits)
			count *= 8
		}
		if total += count; total > uint64(n+padding) {
			return fmt.Errorf("want %d numbers in runs, got more", n)
		}
		if bytes > uint64(len(data)-at) {
			return errShort
		}
		at += int(bytes)
	}
	return nil
}
