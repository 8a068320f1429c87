// Package torchfile reads the tensors of a state dict that PyTorch's torch.save has written, as adapter_model.bin is:
// a zip archive of a pickle and of the numbers. A pickle is a program; this reader runs only the few of its opcodes,
// and knows only the few names, that a dictionary of tensors needs. Everything else is an error.
package torchfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/regular"
)

// storageTypes are those of numbers, by the names of their storages.
var storageTypes = map[global]struct {
	dtype safetensors.DType
	size  int64
}{
	"torch.FloatStorage":    {safetensors.F32, 4},
	"torch.DoubleStorage":   {safetensors.F64, 8},
	"torch.HalfStorage":     {safetensors.F16, 2},
	"torch.BFloat16Storage": {safetensors.BF16, 2},
}

const (
	mostPickle = 64 << 20 // bytes
	mostFile   = 8 << 30  // bytes; all of it is read
)

// Read reads all tensors of a file, in its order.
func Read(file string) (tensors []safetensors.Tensor, err error) {
	f, err := regular.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tensors, err = read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return tensors, nil
}

func read(f *os.File) ([]safetensors.Tensor, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > mostFile {
		return nil, fmt.Errorf("want at most %d bytes, got %d", int64(mostFile), info.Size())
	}
	return parse(f, info.Size())
}

// parse reads the tensors of an archive of so many bytes.
func parse(r io.ReaderAt, size int64) ([]safetensors.Tensor, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("want a zip archive of torch.save, which PyTorch writes from version 1.6 on: %w", err)
	}
	a := &archive{files: map[string]*zip.File{}, read: map[string][]byte{}, left: size}
	for _, f := range z.File {
		folder, name, ok := strings.Cut(path.Clean(f.Name), "/")
		if name == "data.pkl" && a.folder == "" {
			a.folder = folder
		}
		if ok && f.Method == zip.Store && f.UncompressedSize64 <= uint64(size) {
			a.files[path.Clean(f.Name)] = f
		}
	}
	text, err := a.bytes("data.pkl", mostPickle)
	if err != nil {
		return nil, err
	}
	if order, err := a.bytes("byteorder", 16); err == nil && string(order) != "little" {
		return nil, fmt.Errorf("byteorder: want little, got %q", order)
	}
	x, err := unpickle(text)
	if err != nil {
		return nil, err
	}
	d, ok := x.(*dict)
	if !ok {
		return nil, fmt.Errorf("want a dictionary of tensors, got a %T", x)
	}
	tensors := make([]safetensors.Tensor, len(d.keys))
	seen := map[string]bool{}
	for i, key := range d.keys {
		name, isText := key.(string)
		v, isTensor := d.values[i].(view)
		if !isText || !isTensor || seen[name] {
			return nil, fmt.Errorf("want names of tensors, each once, got %.100q of a %T", name, d.values[i])
		}
		seen[name] = true
		if tensors[i], err = a.tensor(name, v); err != nil {
			return nil, fmt.Errorf("tensor %.200q: %w", name, err)
		}
	}
	return tensors, nil
}

// archive is the parts of a file.
type archive struct {
	folder string
	files  map[string]*zip.File
	read   map[string][]byte
	left   int64 // bytes that copies of tensors may take
}

// bytes reads a part.
func (a *archive) bytes(name string, most int64) ([]byte, error) {
	if b, ok := a.read[name]; ok {
		return b, nil
	}
	f := a.files[path.Join(a.folder, name)]
	if f == nil {
		return nil, fmt.Errorf("%s: %w (or it is compressed)", name, fs.ErrNotExist)
	}
	if f.UncompressedSize64 > uint64(most) {
		return nil, fmt.Errorf("%s: want at most %d bytes, got %d", name, most, f.UncompressedSize64)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a.read[name] = b
	return b, nil
}

// tensor takes a tensor out of its storage.
func (a *archive) tensor(name string, v view) (t safetensors.Tensor, err error) {
	kind := storageTypes[v.class]
	data, err := a.bytes(path.Join("data", v.key), mostFile)
	if err != nil {
		return t, err
	}
	have := int64(len(data)) / kind.size
	numbers, ok := product(v.shape)
	if !ok || v.offset < 0 || v.offset > have || have != v.n {
		return t, fmt.Errorf("want sizes of a storage of %d numbers, got %v from %d on in %d", have, v.shape, v.offset, v.n)
	}
	t = safetensors.Tensor{Name: name, DType: kind.dtype}
	stride, inOrder := int64(1), true
	for i := len(v.shape) - 1; i >= 0; i-- {
		inOrder = inOrder && (v.strides[i] == stride || v.shape[i] == 1)
		stride *= v.shape[i]
	}
	for _, n := range v.shape {
		t.Shape = append(t.Shape, int(n))
	}
	if inOrder || numbers == 0 {
		if numbers > have-v.offset {
			return t, fmt.Errorf("want a view of a storage of %d numbers, got %v from %d on", have, v.shape, v.offset)
		}
		t.Data = data[v.offset*kind.size:][:numbers*kind.size]
		return t, nil
	}
	if a.left -= numbers * kind.size; a.left < 0 {
		return t, errors.New("want tensors of the size of the file, got more")
	}
	t.Data, err = a.gather(data, v, numbers, have)
	return t, err
}

// gather copies the numbers of a view that has them in another order.
func (a *archive) gather(data []byte, v view, numbers, have int64) ([]byte, error) {
	size := storageTypes[v.class].size
	last := v.offset // of all its numbers
	for i, n := range v.shape {
		if v.strides[i] < 0 || v.strides[i] > have {
			return nil, fmt.Errorf("want strides within a storage of %d numbers, got %v", have, v.strides)
		}
		if last += (n - 1) * v.strides[i]; last >= have || last < 0 {
			return nil, fmt.Errorf("want a view of a storage of %d numbers, got %v by %v from %d on", have, v.shape,
				v.strides, v.offset)
		}
	}
	out := make([]byte, 0, numbers*size)
	index := make([]int64, len(v.shape))
	for range numbers {
		at := v.offset
		for i, k := range index {
			at += k * v.strides[i]
		}
		out = append(out, data[at*size:][:size]...)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < v.shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out, nil
}
