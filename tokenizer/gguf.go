package tokenizer

import (
	"fmt"

	"github.com/agora-ml/agora/encoding/gguf"
)

func loadGGUF(path string) (loaded, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := fromGGUF(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// The keys of a vocabulary in a GGUF file.
const (
	ggufModel       = "tokenizer.ggml.model"
	ggufTokens      = "tokenizer.ggml.tokens"
	ggufScores      = "tokenizer.ggml.scores"
	ggufTypes       = "tokenizer.ggml.token_type"
	ggufBOS         = "tokenizer.ggml.bos_token_id"
	ggufEOS         = "tokenizer.ggml.eos_token_id"
	ggufUnknown     = "tokenizer.ggml.unknown_token_id"
	ggufAddBOS      = "tokenizer.ggml.add_bos_token"
	ggufSpacePrefix = "tokenizer.ggml.add_space_prefix"
	ggufExtraSpace  = "tokenizer.ggml.remove_extra_whitespaces"
)

// fromGGUF is the tokenizer of a GGUF model: SentencePiece's, which llama.cpp calls
// "llama", or byte-level BPE, which it calls "gpt2".
func fromGGUF(f *gguf.File) (loaded, error) {
	switch model, err := gguf.Get[string](f, ggufModel); {
	case err != nil:
		return nil, err
	case model == "gpt2":
		return certain(byteLevelFromGGUF(f))
	case model == "llama":
		return certain(sentencePieceFromGGUF(f))
	default:
		return nil, fmt.Errorf(`%s: want "llama" (SentencePiece) or "gpt2" (byte-level BPE), got %.40q`, ggufModel,
			model)
	}
}

// What llama.cpp takes where a file of SentencePiece's does not say it.
const (
	spDefaultBOS = 1
	spDefaultEOS = 2
)

func sentencePieceFromGGUF(f *gguf.File) (*SentencePiece, error) {
	var v Vocabulary
	var err error
	if v.Pieces, err = gguf.Get[[]string](f, ggufTokens); err != nil {
		return nil, err
	}
	if v.Scores, err = gguf.Get[[]float32](f, ggufScores); err != nil {
		return nil, err
	}
	if v.Types, err = gguf.Get[[]int32](f, ggufTypes); err != nil {
		return nil, err
	}
	n := len(v.Pieces)
	if v.Unknown, err = ggufID(f, ggufUnknown, n, 0); err != nil {
		return nil, err
	}
	if v.BOS, err = ggufID(f, ggufBOS, n, spDefaultBOS); err != nil {
		return nil, err
	}
	if v.EOS, err = ggufID(f, ggufEOS, n, spDefaultEOS); err != nil {
		return nil, err
	}
	if v.DummyPrefix, err = ggufFlag(f, ggufSpacePrefix, true); err != nil {
		return nil, err
	}
	if v.RemoveExtraSpace, err = ggufFlag(f, ggufExtraSpace, false); err != nil {
		return nil, err
	}
	addBOS, err := ggufFlag(f, ggufAddBOS, true)
	if err != nil {
		return nil, err
	}
	if !addBOS {
		v.BOS = -1
	}
	return NewSentencePiece(v)
}

// Metadata is the vocabulary as a GGUF model carries it.
func (v Vocabulary) Metadata() []gguf.KeyValue {
	out := []gguf.KeyValue{
		{Key: ggufModel, Value: "llama"},
		{Key: "tokenizer.ggml.pre", Value: "default"},
		{Key: ggufTokens, Value: v.Pieces},
		{Key: ggufScores, Value: v.Scores},
		{Key: ggufTypes, Value: v.Types},
		{Key: ggufUnknown, Value: uint32(v.Unknown)},
		{Key: ggufAddBOS, Value: v.BOS >= 0},
		{Key: "tokenizer.ggml.add_eos_token", Value: false},
		{Key: ggufSpacePrefix, Value: v.DummyPrefix},
		{Key: ggufExtraSpace, Value: v.RemoveExtraSpace},
	}
	if v.BOS >= 0 {
		out = append(out, gguf.KeyValue{Key: ggufBOS, Value: uint32(v.BOS)})
	}
	if v.EOS >= 0 {
		out = append(out, gguf.KeyValue{Key: ggufEOS, Value: uint32(v.EOS)})
	}
	return out
}
