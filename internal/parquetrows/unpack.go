package parquetrows

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// unpack gives the size bytes that packed ones stand for, and never makes more of them.
func unpack(codec format.CompressionCodec, packed []byte, size int) ([]byte, error) {
	var r io.Reader
	switch codec {
	case format.Uncompressed:
		if len(packed) != size {
			return nil, fmt.Errorf("want %d bytes, got %d", size, len(packed))
		}
		return packed, nil
	case format.Snappy:
		n, err := snappy.DecodedLen(packed)
		if err != nil {
			return nil, err
		}
		if n != size {
			return nil, fmt.Errorf("want snappy of %d bytes, got %d", size, n)
		}
		return snappy.Decode(make([]byte, size), packed)
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		r = z
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(packed))
	case format.Zstd:
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(maxPage))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, fmt.Errorf("want pages packed by snappy, gzip, brotli or zstd, or not at all, got %s", codec)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, fmt.Errorf("%s: want %d bytes, got: %w", codec, size, err)
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return nil, fmt.Errorf("%s: want %d bytes, got more", codec, size)
	case err != io.EOF: // a checksum, say
		return nil, fmt.Errorf("%s: behind %d bytes: %w", codec, size, err)
	}
	return out, nil
}
