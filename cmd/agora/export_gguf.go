package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// exportModelGGUF writes the model, with the adapter in its weights if there is one, as
// one file.
func (f *exportFlags) exportModelGGUF(c *cobra.Command) (*converted, error) {
	if err := f.file().check(f.model, f.adapter.path); err != nil {
		return nil, err
	}
	loaded, saved, err := mergeTypes(f.model, f.dtype, tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4)
	if err != nil {
		return nil, err
	}
	d, err := f.device.open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	m, err := loadModel(c, d, f.model, llama.LoadOptions{DType: loaded})
	if err != nil {
		return nil, err
	}
	r := &converted{Out: f.out, DType: saved.String()}
	if f.adapter.given() {
		a, err := f.adapter.open(c, m)
		if err != nil {
			return nil, err
		}
		r.Base = a.Match()
		if _, err := a.Merge(); err != nil {
			return nil, err
		}
	}
	words, err := vocabularyMetadata(f.model, m.Config)
	if err != nil {
		return nil, err
	}
	name := gguf.KeyValue{Key: "general.name", Value: filepath.Base(filepath.Clean(f.model))}
	if err := m.SaveGGUF(f.out, llama.GGUFOptions{DType: saved, Tokenizer: append(words, name)}); err != nil {
		return nil, err
	}
	return r, nil
}

// vocabularyMetadata are the keys of the tokenizer in a model's folder or GGUF file.
func vocabularyMetadata(model string, c llama.Config) ([]gguf.KeyValue, error) {
	path := model
	if !isFile(model) {
		path = filepath.Join(model, tokenizer.ModelFile)
		if !isFile(path) {
			return nil, noVocabulary(path, "none")
		}
	}
	tok, err := tokenizer.Load(path)
	if err != nil {
		return nil, err
	}
	sp, ok := tok.(*tokenizer.SentencePiece)
	if !ok {
		return nil, noVocabulary(path, "another tokenizer")
	}
	v := sp.Vocabulary()
	if len(v.Pieces) > c.Vocab {
		return nil, fmt.Errorf("%s: want at most the %d words of %s, got %d pieces", path, c.Vocab, llama.ConfigFile, len(v.Pieces))
	}
	all, err := tokenizer.Load(model) // may know tokens that were added later
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
	v.BOS, v.EOS = -1, -1
	if id, ok := all.BOS(); ok {
		v.BOS = id
	}
	if id, ok := all.EOS(); ok {
		v.EOS = id
	}
	return v.Metadata(), nil
}

// noVocabulary says what a user can do whose tokenizer GGUF files are not written with.
func noVocabulary(path, got string) error {
	return fmt.Errorf("%s: want SentencePiece's, whose vocabulary a model in GGUF can carry, got %s: export to safetensors and convert that by llama.cpp's program", path, got)
}
