package llama

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// Save writes config.json and model.safetensors (shards of it past 5 GB) into a folder,
// which it makes if need be; each file is whole or not there. A model with adapters in its slots is an
// error: merge them first. Quantized weights become f32, which is exact.
func (m *Model) Save(dir string) error {
	dt := m.dtype
	if m.Embedding.Weight.Value.DType() != dt { // the other weights are quantized, or f32
		dt = tensor.F32
	}
	return m.SaveAs(dir, dt)
}

// SaveAs is Save with the weights in another storage type: rounded to f32, f16 or bf16.
func (m *Model) SaveAs(dir string, dt tensor.DType) error {
	if _, ok := fileType[dt]; !ok {
		return fmt.Errorf("llama: saving as %s: want f32, f16 or bf16", dt)
	}
	params, err := m.plainParams(dir)
	if err != nil {
		return err
	}
	var sources []safetensors.Source
	for _, p := range params {
		sources = append(sources, safetensors.Source{
			Name: p.name, DType: fileType[dt], Shape: p.value.Shape(),
			Write: func(w io.Writer) error { return m.write(w, p.value, dt) },
		})
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	c := m.Config
	c.stored = torchType[dt]
	config, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("llama: config of the model: %w", err)
	}
	err = atomicfile.WriteFile(filepath.Join(dir, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(append(config, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	// transformers asks for the format in the metadata.
	return safetensors.WriteModel(dir, safetensors.MaxShard, map[string]string{"format": "pt"}, sources...)
}

// namedTensor is a parameter's value.
type namedTensor struct {
	name  string
	value *tensor.Tensor
}

// plainParams are the parameters in order; an error if an adapter has brought others.
func (m *Model) plainParams(file string) ([]namedTensor, error) {
	plain, _ := build(m.device, m.Config)
	known := map[string]bool{}
	for name := range nn.Params(plain) {
		known[name] = true
	}
	var all []namedTensor
	for name, p := range nn.Params(m) {
		if !known[name] {
			return nil, &Error{File: file, Tensor: name,
				Want: "a parameter of the plain model (merge adapters before saving)",
				Got:  "another"}
		}
		if p.Fetch != nil {
			return nil, &Error{File: file, Tensor: name, Want: "weights that are on the device",
				Got: "some that are elsewhere (LoadOptions.Blocks)"}
		}
		delete(known, name)
		all = append(all, namedTensor{name, p.Value})
	}
	for name := range known {
		return nil, &Error{File: file, Tensor: name, Want: "the parameter", Got: "none"}
	}
	return all, nil
}

// write puts out a tensor's bytes in the type dt.
func (m *Model) write(w io.Writer, t *tensor.Tensor, dt tensor.DType) error {
	scope := m.device.Scope()
	defer scope.Close()
	switch {
	case t.DType().IsQuantized():
		values, err := t.Float32s()
		if err != nil {
			return err
		}
		t = m.device.FromFloat32s(dt, values, t.Shape()...)
	case t.DType() != dt:
		converted := m.device.New(dt, t.Shape()...)
		m.device.Run(kernels.Cast{N: t.Numel()}, converted, t)
		t = converted
	}
	data, err := t.RawBytes()
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// torchType is how config.json spells the type of the weights.
var torchType = map[tensor.DType]string{
	tensor.F32: "float32", tensor.F64: "float64", tensor.F16: "float16", tensor.BF16: "bfloat16",
}

var fileType = map[tensor.DType]safetensors.DType{
	tensor.F32: safetensors.F32, tensor.F64: safetensors.F64, tensor.F16: safetensors.F16,
	tensor.BF16: safetensors.BF16,
}
