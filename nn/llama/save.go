package llama

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/atomicfile"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// Save writes config.json and model.safetensors into a folder, which it makes if
// need be; each file is whole or not there. A model with adapters in its slots is an
// error: merge them first.
func (m *Model) Save(dir string) error {
	plain, _ := build(m.device, m.Config)
	known := map[string]bool{}
	for name := range nn.Params(plain) {
		known[name] = true
	}
	var sources []safetensors.Source
	for name, p := range nn.Params(m) {
		if !known[name] {
			return &Error{File: dir, Tensor: name, Want: "a parameter of the plain model (merge adapters before saving)", Got: "another"}
		}
		delete(known, name)
		sources = append(sources, safetensors.Source{
			Name: name, DType: fileType[p.Value.DType()], Shape: p.Value.Shape(),
			Write: func(w io.Writer) error {
				data, err := p.Value.RawBytes()
				if err == nil {
					_, err = w.Write(data)
				}
				return err
			},
		})
	}
	for name := range known {
		return &Error{File: dir, Tensor: name, Want: "the parameter", Got: "none"}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	config, err := json.MarshalIndent(m.Config, "", "  ")
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
	return safetensors.Write(filepath.Join(dir, safetensors.ModelFile), map[string]string{"format": "pt"}, sources...)
}

var fileType = map[tensor.DType]safetensors.DType{
	tensor.F32: safetensors.F32, tensor.F64: safetensors.F64, tensor.F16: safetensors.F16, tensor.BF16: safetensors.BF16,
}
