package llama

import (
	"fmt"
	"path/filepath"
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
	Tensor(name string) (stored, error)
	Close() error
}

// stored is a tensor of a file, in the mapping's own bytes where they need no change.
type stored struct {
	DType    tensor.DType
	Shape    []int
	Data     []byte
	FileType string // what the file calls the type
	Known    bool   // DType is that type
}

// openSource opens a model's folder or GGUF file and reads its configuration.
func openSource(path string) (Config, source, error) {
	if isGGUF(path) {
		return openGGUF(path)
	}
	c, err := ReadConfig(path)
	if err != nil {
		return c, nil, err
	}
	file, err := safetensors.OpenModel(path)
	if err != nil {
		return c, nil, err
	}
	return c, folder{file}, nil
}

// folder is a source of safetensors.
type folder struct{ *safetensors.File }

func (f folder) Tensor(name string) (stored, error) {
	t, err := f.File.Tensor(name)
	dt, ok := storage[t.DType]
	return stored{dt, t.Shape, t.Data, string(t.DType), ok}, err
}

var storage = map[safetensors.DType]tensor.DType{
	safetensors.F32: tensor.F32, safetensors.F64: tensor.F64, safetensors.F16: tensor.F16, safetensors.BF16: tensor.BF16,
}

// isGGUF reports a path that names a GGUF file.
func isGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// ggufSource is a source that is one GGUF file.
type ggufSource struct {
	*gguf.File
	config       Config
	architecture string
	names        map[string]string // the file's by Hugging Face's
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
	text, err := gguf.ConfigJSON(file)
	if err != nil {
		return c, nil, err
	}
	if c, err = ParseConfig(path, text); err != nil {
		return c, nil, err
	}
	g := &ggufSource{File: file, config: c, names: map[string]string{}}
	if g.architecture, err = gguf.Get[string](file, "general.architecture"); err != nil {
		return c, nil, err
	}
	for _, t := range file.Tensors() {
		name, ok := gguf.HFName(t.Name)
		switch {
		case t.Name == gguf.RopeFactorsName: // ConfigJSON has read them
			continue
		case !ok:
			return c, nil, &Error{File: path, Tensor: t.Name, Want: "no such tensor in a " + c.ModelType, Got: "one"}
		}
		g.names[name] = t.Name
	}
	return c, g, nil
}

func (g *ggufSource) Has(name string) bool { return g.names[name] != "" }

func (g *ggufSource) Names() []string {
	var names []string
	for _, t := range g.Tensors() { // in the file's order
		if name, ok := gguf.HFName(t.Name); ok {
			names = append(names, name)
		}
	}
	return names
}

// Tensor gives the rows of queries and keys in Hugging Face's order, as a copy.
func (g *ggufSource) Tensor(name string) (stored, error) {
	t, err := g.File.Tensor(g.names[name])
	if err != nil {
		return stored{}, err
	}
	dt, ok := ggufStorage[t.Type]
	s := stored{dt, t.Shape, t.Data, t.Type.String(), ok}
	heads := gguf.RotaryHeads(g.architecture, t.Name, g.config.Heads, g.config.KVHeads)
	if heads == 0 || !ok || len(t.Shape) == 0 {
		return s, nil
	}
	s.Data = make([]byte, len(t.Data))
	if err := gguf.Deinterleave(s.Data, t.Data, t.Shape[0], heads); err != nil {
		return s, fmt.Errorf("llama: %s: tensor %s: %w", g.Path(), t.Name, err)
	}
	return s, nil
}

var ggufStorage = map[gguf.Type]tensor.DType{
	gguf.F32: tensor.F32, gguf.F16: tensor.F16, gguf.BF16: tensor.BF16, gguf.Q8_0: tensor.Q8, gguf.Q4_0: tensor.Q4,
}
