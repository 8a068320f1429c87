package main

import (
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
)

// IDX files are a number that tells the type and the dimensions, the dimensions, and the bytes:
// yann.lecun.com/exdb/mnist.
const (
	idxImages = 0x803 // bytes in three dimensions
	idxLabels = 0x801 // bytes in one
	mostBytes = 1 << 30
)

func readIDX(images, labels string) (s digits, err error) {
	shape, pixels, err := idxFile(images, idxImages)
	if err != nil {
		return s, err
	}
	count, names, err := idxFile(labels, idxLabels)
	if err != nil {
		return s, err
	}
	if count[0] != shape[0] || count[0] == 0 {
		return s, fmt.Errorf("%s has %d labels for the %d images of %s", labels, count[0], shape[0], images)
	}
	if s.height, s.width = shape[1], shape[2]; s.height < 4 || s.width < 4 {
		return s, fmt.Errorf("%s: images of %d x %d: want at least 4 x 4", images, s.height, s.width)
	}
	for _, p := range pixels {
		s.pixels = append(s.pixels, float32(p)/255)
	}
	for i, l := range names {
		if l > 9 {
			return s, fmt.Errorf("%s: label %d is %d: want 0 to 9", labels, i, l)
		}
		s.labels = append(s.labels, int32(l))
	}
	return s, nil
}

func idxFile(path string, magic uint32) (shape []int, data []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if data, err = io.ReadAll(io.LimitReader(in, mostBytes)); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	header := 4 + 4*int(magic&0xff)
	if begin := data[:min(4, len(data))]; len(data) < header || binary.BigEndian.Uint32(begin) != magic {
		return nil, nil, fmt.Errorf("%s: no IDX file of the kind %#x: it begins with %#x", path, magic, begin)
	}
	n := 1
	for at := 4; at < header; at += 4 {
		d := binary.BigEndian.Uint32(data[at:])
		if d > mostBytes || n*int(d) > mostBytes {
			return nil, nil, fmt.Errorf("%s: dimension %d is %d: too many elements", path, at/4-1, d)
		}
		shape, n = append(shape, int(d)), n*int(d)
	}
	if data = data[header:]; len(data) != n {
		return nil, nil, fmt.Errorf("%s: %d bytes for dimensions %v: want %d", path, len(data), shape, n)
	}
	return shape, data, nil
}
