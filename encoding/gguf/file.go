package gguf

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/regular"
)

// File is an open file. Several goroutines may use it at once.
type File struct {
	path      string
	version   int // of the format, 2 or 3, which differ in the byte order that they allow only
	alignment int
	metadata  []KeyValue
	values    map[string]any
	tensors   []Tensor
	index     map[string]int // into tensors
	release   func() error
}

// Open maps the file at path and checks all of its header. The file must not be cut
// short while it is open.
func Open(path string) (*File, error) {
	data, release, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(path, data)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	f.release = release
	return f, nil
}

// IsFile reports whether path names a GGUF file: it ends in ".gguf", or is a regular file that
// begins as one.
func IsFile(path string) bool {
	if strings.EqualFold(filepath.Ext(path), ".gguf") {
		return true
	}
	f, err := regular.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var begin [len(magic)]byte
	_, err = io.ReadFull(f, begin[:])
	return err == nil && string(begin[:]) == magic
}

// Path is what was opened.
func (f *File) Path() string { return f.path }

// Metadata are the keys and values in the file's order.
func (f *File) Metadata() []KeyValue { return slices.Clone(f.metadata) }

// Value is the value of a metadata key (see KeyValue), if it is there.
func (f *File) Value(key string) (v any, ok bool) {
	v, ok = f.values[key]
	return v, ok
}

// Tensors are all tensors in the file's order. Their Data are valid until Close.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Has reports whether there is a tensor of that name.
func (f *File) Has(name string) bool {
	_, ok := f.index[name]
	return ok
}

// Tensor gives one tensor. Its Data are valid until Close.
func (f *File) Tensor(name string) (Tensor, error) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, &Error{File: f.path, Tensor: name, Want: "the tensor", Got: "none"}
	}
	return f.tensors[i], nil
}

// Close unmaps the file. No tensor's Data may be touched afterwards.
func (f *File) Close() error {
	if f.release == nil {
		return nil
	}
	err := f.release()
	f.release, f.tensors, f.index = nil, nil, nil
	return err
}
