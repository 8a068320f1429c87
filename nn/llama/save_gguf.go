package llama

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tensor"
)

// GGUFOptions choose what SaveGGUF writes.
type GGUFOptions struct {
	// DType is the type of the matrices: f32 (the zero value), f16, bf16, q8, q4 or q4_k, the
	// quantized ones under the rules of LoadOptions. Norms and biases are f32.
	DType tensor.DType
	// Tokenizer is metadata that describes the tokenizer (see tokenizer.Vocabulary).
	// llama.cpp needs it to run the model; Load does not.
	Tokenizer []gguf.KeyValue
	// TurnEnds are ids that end an answer beside those of the model's configuration, and before them where GGUF has too few
	// keys; see EndsNotInGGUF.
	TurnEnds []int32
	// OwnReader writes also what llama.cpp would compute otherwise: a file for Load.
	OwnReader bool
}

// LlamaCppError returns an error that says why llama.cpp would compute a model otherwise from a
// GGUF file, such as a window of attention that it does not have; nil if it computes the same.
func (c *Config) LlamaCppError() error {
	f, err := c.family()
	if err != nil {
		return err
	}
	if err := c.yarnDiffers(f.gguf.yarnBetas); err != nil || f.gguf.differs == nil {
		return err
	}
	return f.gguf.differs(c)
}

// SaveGGUF writes the model as one GGUF file, whole or not at all: names, order of rows
// and metadata as llama.cpp reads them. A model with adapters in its slots is an error:
// merge them first.
func (m *Model) SaveGGUF(path string, o GGUFOptions) error {
	if err := m.Config.LlamaCppError(); err != nil && !o.OwnReader {
		return err
	}
	params, err := m.plainParams(path)
	if err != nil {
		return err
	}
	var tensors []ggufTensor
	for _, p := range params {
		tensors = append(tensors, ggufTensor{p.name, p.value.Shape(),
			func(w io.Writer, dt tensor.DType, heads int, offset float32) error {
				return writeGGUF(w, p.value, dt, heads, offset)
			}})
	}
	return m.Config.saveGGUF(path, o, tensors)
}

// ggufTensor is a parameter on its way into a GGUF file.
type ggufTensor struct {
	name  string // Hugging Face's
	shape []int
	// write puts out the values in a type, with an offset added, and with the rows of heads as GGUF orders them.
	write func(w io.Writer, dt tensor.DType, heads int, offset float32) error
}

// saveGGUF writes a model of this configuration, one tensor after the other.
func (c *Config) saveGGUF(path string, o GGUFOptions, tensors []ggufTensor) error {
	fileType, ok := ggufFileTypes[o.DType]
	if !ok {
		return fmt.Errorf("llama: saving as %s: want f32, f16, bf16, q8, q4 or q4_k", o.DType)
	}
	metadata, extra, err := c.ggufMetadata()
	if err != nil {
		return err
	}
	layout, err := c.GGUFLayout()
	if err != nil {
		return err
	}
	metadata = append(metadata, gguf.KeyValue{Key: "general.file_type", Value: fileType})
	if o.DType.IsQuantized() {
		metadata = append(metadata, gguf.KeyValue{Key: "general.quantization_version", Value: uint32(2)})
	}
	metadata = append(metadata, o.Tokenizer...)
	special, _ := c.specialTokens(o)
	metadata = append(metadata, special...)

	var sources []gguf.Source
	for _, t := range extra {
		sources = append(sources, t.Source())
	}
	stacks := map[string]*[]ggufTensor{} // of experts, by the file's name
	for _, t := range tensors {
		if name, _, ok := layout.Stack(t.name); ok {
			if stack := stacks[name]; stack != nil {
				*stack = append(*stack, t)
				continue
			}
			stack := &[]ggufTensor{t}
			stacks[name] = stack
			dt := storageType(o.DType, t.name, t.shape)
			sources = append(sources, gguf.Source{
				Name: name, Type: ggufTypes[dt], Shape: append([]int{c.Mixture.Experts}, t.shape...),
				Write: func(w io.Writer) error {
					for _, part := range *stack {
						if err := part.write(w, dt, 0, 0); err != nil {
							return fmt.Errorf("%s: %w", part.name, err)
						}
					}
					return nil
				},
			})
			continue
		}
		name, ok := layout.Name(t.name)
		if !ok {
			return &Error{File: path, Tensor: t.name, Want: "a tensor that GGUF has a name for", Got: "another"}
		}
		dt := tensor.F32 // ggml wants vectors so
		if len(t.shape) > 1 && !isRouter(t.name) {
			dt = storageType(o.DType, t.name, t.shape)
		}
		heads, offset := layout.Heads(t.name), layout.normOffset(t.name)
		sources = append(sources, gguf.Source{
			Name: name, Type: ggufTypes[dt], Shape: t.shape,
			Write: func(w io.Writer) error { return t.write(w, dt, heads, offset) },
		})
	}
	return gguf.Write(path, metadata, sources...)
}

// EndsNotInGGUF are the ids that end a text or an answer and for which a file of these options has no key.
func (c *Config) EndsNotInGGUF(o GGUFOptions) []int32 {
	_, without := c.specialTokens(o)
	return without
}

// specialTokens are the ids that begin and end a text, where the tokenizer does not say
// them, and the one that ends a turn: llama.cpp has a key for one of each. The other ends are without.
func (c *Config) specialTokens(o GGUFOptions) (out []gguf.KeyValue, without []int32) {
	said := map[string]any{}
	for _, kv := range o.Tokenizer {
		said[kv.Key] = kv.Value
	}
	add := func(key string, id int32) {
		if _, ok := said[key]; !ok && id >= 0 {
			said[key] = uint32(id)
			out = append(out, gguf.KeyValue{Key: key, Value: uint32(id)})
		}
	}
	is := func(key string, id int32) bool { return fmt.Sprint(said[key]) == fmt.Sprint(id) } // a tokenizer's may be of any type
	add("tokenizer.ggml.bos_token_id", c.BOS)
	if len(c.EOS) > 0 {
		add(ggufEOS, c.EOS[0])
	}
	for _, id := range slices.Concat(o.TurnEnds, c.EOS) {
		add(ggufEOS, id)
		if !is(ggufEOS, id) {
			add(ggufEOT, id)
		}
		if id >= 0 && !is(ggufEOS, id) && !is(ggufEOT, id) && !slices.Contains(without, id) {
			without = append(without, id)
		}
	}
	return out, without
}

const (
	ggufEOS = "tokenizer.ggml.eos_token_id"
	ggufEOT = "tokenizer.ggml.eot_token_id"
)

// writeGGUF puts out a tensor in the type dt, with an offset added and its rows as GGUF orders them.
func writeGGUF(w io.Writer, t *tensor.Tensor, dt tensor.DType, heads int, offset float32) error {
	var data []byte
	var err error
	if t.DType() == dt && offset == 0 {
		data, err = t.RawBytes()
	} else {
		var values []float32
		if values, err = t.Float32s(); err == nil {
			for i := range values {
				values[i] += offset
			}
			data, err = gguf.Append(make([]byte, 0, dt.Bytes(len(values))), ggufTypes[dt], values)
		}
	}
	if err != nil {
		return err
	}
	if err := finite(data, dt); err != nil {
		return err
	}
	if heads > 0 {
		if data, err = Interleave(data, t.Dim(0), heads); err != nil {
			return err
		}
	}
	_, err = w.Write(data)
	return err
}

// finite returns an error for the first of some numbers that is infinite or none, perhaps since it was rounded to the type.
// What is quantized has been looked at.
func finite(data []byte, dt tensor.DType) error {
	if dt.IsQuantized() {
		return nil
	}
	size, exponent := dt.Bytes(1), map[tensor.DType]byte{tensor.F32: 0x7f, tensor.BF16: 0x7f, tensor.F16: 0x7c}[dt]
	values := make([]float32, 1)
	for at := 0; at < len(data); at += size {
		if data[at+size-1]&exponent != exponent { // of few only
			continue
		}
		if dt.Decode(values, data[at:at+size]); !(math.Abs(float64(values[0])) <= math.MaxFloat32) {
			return fmt.Errorf("want finite numbers of %s, got %v at element %d", dt, values[0], at/size)
		}
	}
	return nil
}

var ggufTypes = map[tensor.DType]gguf.Type{
	tensor.F32: gguf.F32, tensor.F16: gguf.F16, tensor.BF16: gguf.BF16, tensor.Q8: gguf.Q8_0, tensor.Q4: gguf.Q4_0,
	tensor.Q4_K: gguf.Q4_K, tensor.Q6_K: gguf.Q6_K,
}

// GGUFTypes lists the types that SaveGGUF writes matrices in.
func GGUFTypes() []tensor.DType {
	return slices.DeleteFunc(tensor.WeightTypes(), func(dt tensor.DType) bool { _, ok := ggufFileTypes[dt]; return !ok })
}

// ggufFileTypes are llama.cpp's numbers for the type of most tensors of a file.
var ggufFileTypes = map[tensor.DType]uint32{tensor.F32: 0, tensor.F16: 1, tensor.Q4: 2, tensor.Q8: 7, tensor.Q4_K: 14,
	tensor.BF16: 32}
