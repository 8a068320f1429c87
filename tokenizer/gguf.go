package tokenizer

import (
	"fmt"
	"io"
	"os"

	"github.com/agora-ml/agora/encoding/gguf"
)

// isGGUF reports a file that begins as one of that format.
func isGGUF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "GGUF"
}

func loadGGUF(path string) (Tokenizer, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	t, err := FromGGUF(f)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

// The keys of a SentencePiece vocabulary in a GGUF file.
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

// FromGGUF is the tokenizer of a GGUF model whose vocabulary is SentencePiece's, what
// llama.cpp calls "llama". Other kinds are an error: use the tokenizer.json of the model
// that the file was made of.
func FromGGUF(f *gguf.File) (*SentencePiece, error) {
	if model, err := gguf.Get[string](f, ggufModel); err != nil {
		return nil, err
	} else if model != "llama" {
		return nil, fmt.Errorf(`%s: want "llama", which is SentencePiece, got %.40q`, ggufModel, model)
	}
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
	// What llama.cpp takes where a file does not say it.
	for _, id := range []struct {
		key     string
		to      *int32
		missing int
	}{{ggufUnknown, &v.Unknown, 0}, {ggufBOS, &v.BOS, 1}, {ggufEOS, &v.EOS, 2}} {
		n := id.missing
		if _, ok := f.Value(id.key); ok {
			if n, err = f.Int(id.key); err != nil {
				return nil, err
			}
		}
		if n < 0 || n >= len(v.Pieces) {
			return nil, fmt.Errorf("%s: want an id below %d, got %d", id.key, len(v.Pieces), n)
		}
		*id.to = int32(n)
	}
	addBOS := true
	v.DummyPrefix = true
	for key, to := range map[string]*bool{ggufAddBOS: &addBOS, ggufSpacePrefix: &v.DummyPrefix, ggufExtraSpace: &v.RemoveExtraSpace} {
		if _, ok := f.Value(key); ok {
			if *to, err = gguf.Get[bool](f, key); err != nil {
				return nil, err
			}
		}
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
