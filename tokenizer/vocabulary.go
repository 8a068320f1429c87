package tokenizer

import (
	"fmt"
	"io"

	"github.com/agora-ml/agora/internal/atomicfile"
)

// Vocabulary is a SentencePiece model's table, for formats that carry one. The numbers of
// the types are those of sentencepiece_model.proto, which GGUF uses too: 1 normal,
// 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
type Vocabulary struct {
	Pieces           []string
	Scores           []float32
	Types            []int32
	Unknown          int32 // the id of the unknown piece
	BOS, EOS         int32 // -1: none
	DummyPrefix      bool  // a space is put in front of a text
	RemoveExtraSpace bool  // several spaces become one, and none is at the end
}

// Vocabulary is the table of the model.
func (t *SentencePiece) Vocabulary() Vocabulary {
	v := Vocabulary{Unknown: t.unk, BOS: t.bos, EOS: t.eos, DummyPrefix: t.addDummyPrefix,
		RemoveExtraSpace: t.removeExtraSpace}
	for _, p := range t.pieces {
		kind := p.kind
		if kind == addedText { // the nearest that the formats have
			kind = userDefined
		}
		v.Pieces, v.Scores, v.Types = append(v.Pieces, p.text), append(v.Scores, p.score), append(v.Types, int32(kind))
	}
	return v
}

// NewSentencePiece is the tokenizer of a table, the inverse of Vocabulary.
func NewSentencePiece(v Vocabulary) (*SentencePiece, error) {
	n := len(v.Pieces)
	if len(v.Scores) != n || len(v.Types) != n {
		return nil, fmt.Errorf("want as many scores and types as the %d pieces, got %d and %d", n, len(v.Scores),
			len(v.Types))
	}
	m := &spModel{
		modelType: modelBPE, unkSurface: defaultUnknown,
		addDummyPrefix: v.DummyPrefix, removeExtraSpace: v.RemoveExtraSpace, escapeSpaces: true,
	}
	for i, text := range v.Pieces {
		m.pieces = append(m.pieces, piece{text, v.Scores[i], pieceType(v.Types[i])})
		m.byteFallback = m.byteFallback || m.pieces[i].kind == byteType
	}
	t, err := newSentencePiece(m, nil)
	if err != nil {
		return nil, err
	}
	for name, id := range map[string]int32{"BOS": v.BOS, "EOS": v.EOS, "unknown piece": v.Unknown} {
		if id < -1 || int(id) >= n {
			return nil, fmt.Errorf("%s: want an id below %d, got %d", name, n, id)
		}
	}
	if t.unk != v.Unknown {
		return nil, fmt.Errorf("unknown piece: want %d, which is of that type, got %d", t.unk, v.Unknown)
	}
	t.setEnds(v.BOS, v.EOS)
	return t, nil
}

// Save writes the vocabulary as a tokenizer.model, which SentencePiece reads as well.
func (v Vocabulary) Save(path string) error {
	if _, err := NewSentencePiece(v); err != nil {
		return fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(v.model())
		return err
	})
}
