package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// ggufTypes are the types that a model's matrices are written in, with llama.cpp's
// number for a file mostly of that type (LLAMA_FTYPE in llama.h).
var ggufTypes = map[tensor.DType]struct {
	typ  gguf.Type
	file uint32
}{
	tensor.F32: {gguf.F32, 0}, tensor.F16: {gguf.F16, 1}, tensor.BF16: {gguf.BF16, 32},
	tensor.Q8: {gguf.Q8_0, 7}, tensor.Q4: {gguf.Q4_0, 2},
}

// exportModelGGUF writes the model, with the adapter in its weights if there is one, as
// one file.
func (f *exportFlags) exportModelGGUF() (*converted, error) {
	stored, err := storedType(f.model)
	if err != nil {
		return nil, err
	}
	saved, loaded := stored, stored
	if f.dtype != "" {
		if saved, err = parseDType(f.dtype, tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4); err != nil {
			return nil, err
		}
	}
	if saved != stored { // only writing rounds
		loaded = tensor.F32
	}
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	m, err := llama.Load(d, f.model, llama.LoadOptions{DType: loaded})
	if err != nil {
		return nil, err
	}
	if f.adapter != "" {
		a, err := multilora.Open(m, f.adapter)
		if err != nil {
			return nil, err
		}
		if _, err := a.Merge(); err != nil {
			return nil, err
		}
	}
	if err := writeModelGGUF(f.out, m, f.model, saved); err != nil {
		return nil, err
	}
	return &converted{Out: f.out, DType: saved.String()}, nil
}

// writeModelGGUF writes a model whose tokenizer is in the folder dir.
func writeModelGGUF(path string, m *llama.Model, dir string, dt tensor.DType) error {
	config, err := json.Marshal(m.Config)
	if err != nil {
		return err
	}
	metadata, extra, err := gguf.LlamaMetadata(config)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, llama.ConfigFile), err)
	}
	words, err := vocabularyMetadata(dir, m.Config)
	if err != nil {
		return err
	}
	metadata = append(metadata,
		gguf.KeyValue{Key: "general.name", Value: filepath.Base(filepath.Clean(dir))},
		gguf.KeyValue{Key: "general.file_type", Value: ggufTypes[dt].file})
	if dt == tensor.Q8 || dt == tensor.Q4 {
		metadata = append(metadata, gguf.KeyValue{Key: "general.quantization_version", Value: uint32(2)}) // GGML_QNT_VERSION
	}
	metadata = append(metadata, words...)
	var sources []gguf.Source
	for _, t := range extra {
		sources = append(sources, t.Source())
	}
	architecture := m.Config.ModelType
	if architecture == "mistral" { // is a llama to llama.cpp
		architecture = "llama"
	}
	for name, p := range nn.Params(m) {
		to, ok := gguf.Name(name)
		if !ok {
			return fmt.Errorf("%s: tensor %s: want one that GGUF has a name for", dir, name)
		}
		heads := gguf.RotaryHeads(architecture, to, m.Config.Heads, m.Config.KVHeads)
		sources = append(sources, ggufSource(to, ggufTypes[dt].typ, p.Value, heads))
	}
	return gguf.Write(path, metadata, sources...)
}

// ggufSource converts a tensor when its turn comes. Vectors stay f32, as llama.cpp wants
// them, and so do matrices whose rows are no whole number of blocks.
func ggufSource(name string, typ gguf.Type, t *tensor.Tensor, heads int) gguf.Source {
	shape := t.Shape()
	if block, _ := typ.Block(); len(shape) < 2 || shape[len(shape)-1]%block != 0 {
		typ = gguf.F32
	}
	return gguf.Source{Name: name, Type: typ, Shape: shape, Write: func(w io.Writer) error {
		v, err := t.Float32s()
		if err != nil {
			return err
		}
		data, err := gguf.Append(nil, typ, v)
		if err != nil {
			return err
		}
		if heads > 0 {
			ordered := make([]byte, len(data))
			if err := gguf.Interleave(ordered, data, shape[0], heads); err != nil {
				return err
			}
			data = ordered
		}
		_, err = w.Write(data)
		return err
	}}
}

// vocabularyMetadata are the keys of the tokenizer in a model's folder.
func vocabularyMetadata(dir string, c llama.Config) ([]gguf.KeyValue, error) {
	tok, err := tokenizer.Load(filepath.Join(dir, tokenizer.ModelFile))
	if err != nil {
		return nil, fmt.Errorf("a model in GGUF carries its vocabulary: %w", err)
	}
	sp, ok := tok.(*tokenizer.SentencePiece)
	if !ok {
		return nil, fmt.Errorf("%s: want a SentencePiece model, got another tokenizer, whose vocabulary cannot be written to GGUF yet: export to safetensors and convert that by llama.cpp's program",
			filepath.Join(dir, tokenizer.ModelFile))
	}
	v := sp.Vocabulary()
	if len(v.Pieces) > c.Vocab {
		return nil, fmt.Errorf("%s: want at most the %d words of %s, got %d pieces", filepath.Join(dir, tokenizer.ModelFile), c.Vocab, llama.ConfigFile, len(v.Pieces))
	}
	all, err := tokenizer.Load(dir) // may know tokens that were added later
	if err != nil {
		return nil, err
	}
	for id := len(v.Pieces); id < c.Vocab; id++ {
		piece, kind := all.Piece(int32(id)), int32(4) // user-defined
		if piece == "" {
			piece, kind = fmt.Sprintf("[PAD%d]", id), 5 // unused
		}
		v.Pieces, v.Scores, v.Types = append(v.Pieces, piece), append(v.Scores, -1000), append(v.Types, kind)
	}
	bos, hasBOS := all.BOS()
	metadata := []gguf.KeyValue{
		{Key: "tokenizer.ggml.model", Value: "llama"},
		{Key: "tokenizer.ggml.pre", Value: "default"},
		{Key: "tokenizer.ggml.tokens", Value: v.Pieces},
		{Key: "tokenizer.ggml.scores", Value: v.Scores},
		{Key: "tokenizer.ggml.token_type", Value: v.Types},
		{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(v.Unknown)},
		{Key: "tokenizer.ggml.add_bos_token", Value: hasBOS},
		{Key: "tokenizer.ggml.add_eos_token", Value: false},
		{Key: "tokenizer.ggml.add_space_prefix", Value: v.DummyPrefix},
	}
	if hasBOS {
		metadata = append(metadata, gguf.KeyValue{Key: "tokenizer.ggml.bos_token_id", Value: uint32(bos)})
	}
	if eos, ok := all.EOS(); ok {
		metadata = append(metadata, gguf.KeyValue{Key: "tokenizer.ggml.eos_token_id", Value: uint32(eos)})
	}
	return metadata, nil
}
