package arrowrows

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// maxWindow bounds what unpacking zstd keeps of the bytes: 128 MiB is what zstd itself unpacks unasked.
const maxWindow = 128 << 20

// unpack gives the size bytes that packed ones stand for. It makes room as they come.
func unpack(codec int, packed []byte, size int) ([]byte, error) {
	var r io.Reader
	switch codec {
	case 0:
		r = lz4.NewReader(bytes.NewReader(packed))
	case 1:
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, fmt.Errorf("want buffers packed by LZ4 or zstd, or not at all, got number %d", codec)
	}
	out := bytes.NewBuffer(make([]byte, 0, min(size, 16*len(packed))+bytes.MinRead))
	n, err := out.ReadFrom(io.LimitReader(r, int64(size)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("want %d bytes, got: %w", size, err)
	case n > int64(size):
		return nil, fmt.Errorf("want %d bytes, got more", size)
	case n < int64(size):
		return nil, fmt.Errorf("want %d bytes, got %d", size, n)
	}
	return out.Bytes(), nil
}
