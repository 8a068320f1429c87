package tfevents

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"
)

// A TFRecord is, all numbers little-endian,
//
//	uint64  length
//	uint32  masked CRC of the eight bytes above
//	byte    data[length]
//	uint32  masked CRC of data
//
// (tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details").
const (
	recordHeader = 8 + 4
	recordFooter = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the CRC-32C of b, rotated right by 15 bits, plus a constant, modulo 2^32.
// The mask is there because a CRC over data that holds its own CRC says little.
func maskedCRC(b []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(b, castagnoli), -15) + 0xa282ead8
}

// appendRecord adds data to b as a record.
func appendRecord(b, data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = append(b, length...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(length))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

// readRecord reads the data of the next record; the error is io.EOF where the file ends
// between two records.
func readRecord(r io.Reader) ([]byte, error) {
	var header [recordHeader]byte
	if n, err := io.ReadFull(r, header[:]); err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("want a record's header of %d bytes, got %d: %w", recordHeader, n, err)
	} else if err != nil {
		return nil, err
	}
	if want, got := maskedCRC(header[:8]), binary.LittleEndian.Uint32(header[8:]); got != want {
		return nil, fmt.Errorf("length: want the masked CRC %#08x, got %#08x", want, got)
	}
	length := binary.LittleEndian.Uint64(header[:])
	if length > math.MaxInt64-recordFooter {
		return nil, fmt.Errorf("length: want less than 2^63, got %d", length)
	}
	var body bytes.Buffer // grows with what is there, whatever the length promises
	n, err := io.CopyN(&body, r, int64(length)+recordFooter)
	if err == io.EOF {
		return nil, fmt.Errorf("want a record of %d bytes, got %d: %w", length, n, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	data, footer := body.Bytes()[:length], body.Bytes()[length:]
	if want, got := maskedCRC(data), binary.LittleEndian.Uint32(footer); got != want {
		return nil, fmt.Errorf("data: want the masked CRC %#08x, got %#08x", want, got)
	}
	return data, nil
}
