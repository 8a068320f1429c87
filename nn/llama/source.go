package llama

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/tensor"
)

// source is the file, or the files, that hold a model's tensors; names, shapes and the
// order of rows are Hugging Face's whatever the format.
type source interface {
	Path() string
	Names() []string
	Has(name string) bool
	Info(name string) (info, error) // reads no values
	// Tensor is Info with the values, read from the disk. It ends with ctx's error when ctx ends.
	Tensor(ctx context.Context, name string) (stored, error)
	Close() error
}

// info is what a file's header says of a tensor.
type info struct {
	DType    tensor.DType
	Shape    []int
	FileType string // what the file calls the type
	Known    bool   // DType is that type
	// Chosen: whoever quantized the model has chosen the type, also where it is none of blocks.
	Chosen bool
	// Lying are the values where they lie in the mapped file, if they need no change but perhaps of their type.
	Lying []byte
}

// stored is a tensor of a file, in the mapping's own bytes where they need no change.
type stored struct {
	info
	Data []byte
}

// openSource opens a model's folder or GGUF file and reads its configuration.
func openSource(path string) (Config, source, error) {
	if gguf.IsFile(path) {
		return openGGUF(path)
	}
	c, err := ReadConfig(path)
	if err != nil {
		return c, nil, err
	}
	file, err := openFolder(path)
	if err != nil || c.packing == nil {
		return c, file, err
	}
	packed, err := openPacked(file, c.packing)
	if err != nil {
		return c, nil, errors.Join(err, file.Close())
	}
	return c, packed, nil
}

// folder is a source of safetensors.
type folder struct{ *safetensors.File }

func (f folder) Info(name string) (info, error) {
	t, err := f.asStored(name)
	t.Lying = t.Data
	return t.info, err
}

func (f folder) Tensor(ctx context.Context, name string) (stored, error) {
	t, err := f.asStored(name)
	if err != nil {
		return t, err
	}
	return t, readIn(ctx, t.Data)
}

func (f folder) asStored(name string) (stored, error) {
	t, err := f.File.Tensor(name)
	dt, ok := storage[t.DType]
	return stored{info{DType: dt, Shape: t.Shape, FileType: string(t.DType), Known: ok}, t.Data}, err
}

// readIn reads the pages of a mapped file's bytes from the disk, until ctx ends: what follows
// does not wait for a slow disk, and can be left alone.
func readIn(ctx context.Context, data []byte) error {
	const page, piece = 4 << 10, 1 << 20
	var sum byte
	for at := 0; at < len(data); at += page {
		if at%piece == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		sum += data[at]
	}
	runtime.KeepAlive(sum)
	return ctx.Err()
}

var storage = map[safetensors.DType]tensor.DType{
	safetensors.F32: tensor.F32, safetensors.F64: tensor.F64, safetensors.F16: tensor.F16,
	safetensors.BF16: tensor.BF16,
}

// ggufSource is a source that is one GGUF file.
type ggufSource struct {
	*gguf.File
	layout GGUFLayout
	order  []string // Hugging Face's names in the file's order
	names  map[string]ggufPlace
}

// ggufPlace is where a file has a tensor: as one of its own, or as part of as many.
type ggufPlace struct {
	tensor      string
	part, parts int // parts 0: the whole tensor
}

func openGGUF(path string) (c Config, s source, err error) {
	file, err := gguf.Open(path)
	if err != nil {
		return c, nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	text, err := ggufConfigJSON(file)
	if err != nil {
		return c, nil, err
	}
	if c, err = parseConfig(path, text); err != nil {
		return c, nil, err
	}
	g := &ggufSource{File: file, names: map[string]ggufPlace{}}
	if g.layout, err = c.GGUFLayout(); err != nil {
		return c, nil, err
	}
	add := func(name string, at ggufPlace) error {
		if other, twice := g.names[name]; twice { // an expert, say, alone and among all
			return &Error{File: path, Tensor: at.tensor, Want: "it once", Got: "it in " + other.tensor + ", too"}
		}
		g.order, g.names[name] = append(g.order, name), at
		return nil
	}
	for _, t := range file.Tensors() {
		name, ok := g.layout.HFName(t.Name)
		pattern, stacked := g.layout.unstack(t.Name)
		switch {
		case t.Name == ropeFactorsName, t.Name == longFactorsName, t.Name == shortFactorsName: // the configuration has them
			continue
		case stacked:
			if len(t.Shape) != 3 || t.Shape[0] != c.Mixture.Experts || len(t.Data)%t.Shape[0] != 0 {
				return c, nil, &Error{File: path, Tensor: t.Name, Want: fmt.Sprintf("matrices of %d experts",
					c.Mixture.Experts), Got: fmt.Sprint("shape ", t.Shape)}
			}
			for e := range t.Shape[0] {
				if err := add(strings.Replace(pattern, "*", strconv.Itoa(e), 1), ggufPlace{t.Name, e, t.Shape[0]}); err != nil {
					return c, nil, err
				}
			}
			continue
		case !ok:
			return c, nil, &Error{File: path, Tensor: t.Name, Want: "no such tensor in a " + c.ModelType, Got: "one"}
		}
		if err := add(name, ggufPlace{tensor: t.Name}); err != nil {
			return c, nil, err
		}
	}
	return c, g, nil
}

func (g *ggufSource) Has(name string) bool {
	_, ok := g.names[name]
	return ok
}

func (g *ggufSource) Names() []string { return g.order }

func (g *ggufSource) Info(name string) (info, error) {
	s, err := g.asStored(name)
	if g.layout.Heads(name) == 0 && g.layout.normOffset(name) == 0 {
		s.Lying = s.Data
	}
	return s.info, err
}

// asStored is a tensor with its rows in the file's order.
func (g *ggufSource) asStored(name string) (stored, error) {
	at := g.names[name]
	t, err := g.File.Tensor(at.tensor)
	if err != nil {
		return stored{}, err
	}
	if at.parts > 0 { // rows are whole blocks
		size := len(t.Data) / at.parts
		t.Shape, t.Data = t.Shape[1:], t.Data[at.part*size:(at.part+1)*size]
	}
	dt, ok := ggufStorage[t.Type]
	return stored{info{DType: dt, Shape: t.Shape, FileType: t.Type.String(), Known: ok}, t.Data}, nil
}

// Tensor gives the rows of queries and keys in Hugging Face's order, as a copy.
func (g *ggufSource) Tensor(ctx context.Context, name string) (stored, error) {
	s, err := g.asStored(name)
	if err == nil {
		err = readIn(ctx, s.Data)
	}
	if offset := g.layout.normOffset(name); err == nil && offset != 0 && s.Known {
		return g.unshifted(g.names[name].tensor, s, offset)
	}
	heads := g.layout.Heads(name)
	if err != nil || heads == 0 || !s.Known || len(s.Shape) == 0 {
		return s, err
	}
	if s.Data, err = Deinterleave(s.Data, s.Shape[0], heads); err != nil {
		return s, fmt.Errorf("llama: %s: tensor %s: %w", g.Path(), g.names[name].tensor, err)
	}
	return s, nil
}

// unshifted takes from a norm's weights what the format has added to them.
func (g *ggufSource) unshifted(name string, s stored, offset float32) (stored, error) {
	t, err := g.File.Tensor(name)
	if err != nil {
		return s, err
	}
	values, err := t.Float32s()
	if err != nil {
		return s, err
	}
	s.DType, s.Data = tensor.F32, make([]byte, 0, 4*len(values))
	for _, v := range values {
		s.Data = binary.LittleEndian.AppendUint32(s.Data, math.Float32bits(v-offset))
	}
	return s, nil
}

var ggufStorage = map[gguf.Type]tensor.DType{
	gguf.F32: tensor.F32, gguf.F16: tensor.F16, gguf.BF16: tensor.BF16, gguf.Q8_0: tensor.Q8, gguf.Q4_0: tensor.Q4,
	gguf.Q4_1: tensor.Q4_1, gguf.Q5_0: tensor.Q5_0, gguf.Q5_1: tensor.Q5_1, gguf.IQ4_NL: tensor.IQ4_NL,
	gguf.Q4_K: tensor.Q4_K, gguf.Q5_K: tensor.Q5_K, gguf.Q6_K: tensor.Q6_K,
}
