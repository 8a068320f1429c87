package llama

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// LoadOptions choose how Load stores a model.
type LoadOptions struct {
	// DType is the storage type of weights and activations: f32 (the zero value), f16
	// or bf16, whatever the file has.
	DType tensor.DType
}

// Load reads a model's folder: config.json, and model.safetensors or its shards.
// Every tensor is checked before the first is loaded. The parameters are frozen.
func Load(d *tensor.Device, dir string, o LoadOptions) (m *Model, err error) {
	if !o.DType.IsFloat() {
		return nil, fmt.Errorf("llama: loading as %s: want f32, f16 or bf16", o.DType)
	}
	m, file, err := prepare(d, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for name, p := range nn.Params(m) {
		t, err := file.Tensor(name)
		if err != nil {
			return nil, err
		}
		p.Value, p.Frozen = upload(d, o.DType, t), true
	}
	if err := d.Flush(); err != nil {
		return nil, err
	}
	return m, nil
}

// Check reads the configuration of a model's folder and compares all of its tensors'
// names, shapes and types with it, as Load does before it loads.
func Check(dir string) (Config, error) {
	m, file, err := prepare(nil, dir)
	if err != nil {
		return Config{}, err
	}
	return m.Config, file.Close()
}

// prepare makes the network without values and opens the checked file that has them.
func prepare(d *tensor.Device, dir string) (*Model, *safetensors.File, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	file, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, nil, err
	}
	// A lying num_hidden_layers must not cost memory.
	if names := file.Names(); c.Layers > len(names) {
		err = &Error{File: file.Path(), Want: fmt.Sprintf("the tensors of %d layers", c.Layers), Got: fmt.Sprintf("%d tensors", len(names))}
		return nil, nil, errors.Join(err, file.Close())
	}
	m, shapes := build(d, c)
	if err := checkTensors(m, shapes, file); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return m, file, nil
}

// upload puts a tensor of a file on the device, which converts it.
func upload(d *tensor.Device, dt tensor.DType, t safetensors.Tensor) *tensor.Tensor {
	stored := storage[t.DType]
	if stored == dt {
		return d.FromBytes(dt, t.Data, t.Shape...)
	}
	y := d.New(dt, t.Shape...)
	scope := d.Scope()
	defer scope.Close()
	d.Run(shaders.Cast{N: y.Numel()}, y, d.FromBytes(stored, t.Data, t.Shape...))
	return y
}

var storage = map[safetensors.DType]tensor.DType{
	safetensors.F32: tensor.F32, safetensors.F64: tensor.F64, safetensors.F16: tensor.F16, safetensors.BF16: tensor.BF16,
}

// checkTensors compares the names, shapes and types of a file with the model's.
func checkTensors(m *Model, shapes map[*nn.Param][]int, file *safetensors.File) error {
	fail := func(name, want string, got any) error {
		return &Error{File: file.Path(), Tensor: name, Want: want, Got: fmt.Sprint(got)}
	}
	wanted := map[string]bool{}
	for name, p := range nn.Params(m) {
		wanted[name] = true
		if !file.Has(name) {
			return fail(name, fmt.Sprintf("shape %v", shapes[p]), "no such tensor")
		}
		t, err := file.Tensor(name)
		if err != nil {
			return err
		}
		if !slices.Equal(t.Shape, shapes[p]) {
			return fail(name, fmt.Sprintf("shape %v", shapes[p]), t.Shape)
		}
		if _, ok := storage[t.DType]; !ok {
			return fail(name, "F32, F16, BF16 or F64", t.DType)
		}
	}
	for _, name := range file.Names() {
		switch {
		case wanted[name]:
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // older checkpoints have it; it follows from the configuration
		case name == headName && m.Config.Tied && sameTensor(file, headName, embeddingName):
		default:
			return fail(name, "no such tensor in a "+m.Config.ModelType+" of this configuration", "one")
		}
	}
	return nil
}

const (
	headName      = "lm_head.weight"
	embeddingName = "model.embed_tokens.weight"
)

// sameTensor reports two tensors of equal bytes: some checkpoints hold a tied head twice.
func sameTensor(file *safetensors.File, a, b string) bool {
	x, errX := file.Tensor(a)
	y, errY := file.Tensor(b)
	return errX == nil && errY == nil && x.DType == y.DType && slices.Equal(x.Shape, y.Shape) && bytes.Equal(x.Data, y.Data)
}
