package data

import (
	"compress/gzip"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds what unpacking .zst keeps of the text: 128 MiB is what zstd itself unpacks unasked.
const maxWindow = 128 << 20

// unpackers are the endings of names of packed files, and what unpacks them.
var unpackers = map[string]func(io.Reader) (io.ReadCloser, error){
	".gz": func(r io.Reader) (io.ReadCloser, error) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("want gzip, got: %w", err)
		}
		return z, nil
	},
	".zst": func(r io.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("want zstd, got: %w", err)
		}
		return zstdFile{z.IOReadCloser()}, nil
	},
}

// zstdFile says of what fails that it is not zstd, which is known only once it is read.
type zstdFile struct{ io.ReadCloser }

func (f zstdFile) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("want zstd, got: %w", err)
	}
	return n, err
}

// unpackerOf is what unpacks a file; nil: it is not packed.
func unpackerOf(path string) func(io.Reader) (io.ReadCloser, error) {
	return unpackers[strings.ToLower(filepath.Ext(path))]
}

// unpackedName is the name without the ending of a packed file.
func unpackedName(path string) string {
	if unpackerOf(path) != nil {
		return strings.TrimSuffix(path, filepath.Ext(path))
	}
	return path
}
