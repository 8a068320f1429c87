package safetensors

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/regular"
)

// The file names of a Hugging Face model folder.
const (
	ModelFile = "model.safetensors"
	IndexFile = "model.safetensors.index.json"
)

// File is an open file, or the files of a model's folder seen as one. Several
// goroutines may use it at once.
type File struct {
	path     string
	files    []string
	tensors  map[string]Tensor
	metadata map[string]string
	unmap    []func() error
}

// Open maps one file and checks all of its header. The file must not be cut short
// while it is open: the system ends programs that read a mapped page past a file's end.
func Open(path string) (*File, error) {
	f := &File{path: path, tensors: map[string]Tensor{}}
	if err := f.add(path, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// OpenModel opens the weights of a model's folder: model.safetensors or, where that
// is missing, the shards that model.safetensors.index.json names. Index and shards
// must agree about every tensor.
func OpenModel(dir string) (*File, error) {
	path := filepath.Join(dir, ModelFile)
	if regular.Exists(path) {
		return Open(path)
	}
	path = filepath.Join(dir, IndexFile)
	shards, err := readIndex(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: dir, Want: ModelFile + " or " + IndexFile, Got: "neither"}
	}
	if err != nil {
		return nil, err
	}
	f := &File{path: path, tensors: map[string]Tensor{}}
	for _, shard := range slices.Sorted(maps.Keys(shards)) {
		err := f.add(filepath.Join(dir, shard), shards[shard])
		if errors.Is(err, fs.ErrNotExist) {
			err = &Error{File: path, Want: "the shard " + fileerror.Quote(shard) + " in the same folder",
				Got: "no such file"}
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// add maps the file at path and takes in its tensors: exactly those named, unless nil.
func (f *File) add(path string, names []string) error {
	data, unmap, err := mapped.Open(path)
	if err != nil {
		return err
	}
	f.unmap = append(f.unmap, unmap)
	f.files = append(f.files, path)
	tensors, metadata, err := parse(path, data)
	if err != nil {
		return err
	}
	f.metadata = metadata
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	for _, t := range tensors {
		if names != nil && !missing[t.Name] {
			return &Error{File: path, Tensor: t.Name, Want: "a tensor that " + IndexFile + " places in this file",
				Got: "one that it does not"}
		}
		delete(missing, t.Name)
		f.tensors[t.Name] = t
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		return &Error{File: path, Tensor: name, Want: "the tensor, which " + IndexFile + " places in this file",
			Got: "none"}
	}
	return nil
}

// Path is what was opened: the file, or the index of a model in shards.
func (f *File) Path() string { return f.path }

// Files are the files that hold the tensors: one, or the shards of a model.
func (f *File) Files() []string { return slices.Clone(f.files) }

// Names are the names of all tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Has reports whether there is a tensor of that name.
func (f *File) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// Tensor gives one tensor. Its Data are valid until Close.
func (f *File) Tensor(name string) (Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return Tensor{}, &Error{File: f.path, Tensor: name, Want: "the tensor", Got: "none"}
	}
	return t, nil
}

// Metadata is the free text of the header; of a model in shards, that of its last shard.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Close unmaps the files. No tensor's Data may be touched afterwards.
func (f *File) Close() error {
	var err error
	for _, unmap := range f.unmap {
		err = errors.Join(err, unmap())
	}
	f.unmap, f.tensors = nil, nil
	return err
}
