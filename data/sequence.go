package data

import (
	"fmt"

	"github.com/agora-ml/agora/batch"
	"github.com/agora-ml/agora/tokenizer"
)

// Ignored is the label of a position that does not count in the loss.
const Ignored = batch.Ignored

// Sequence is one row, or a part of one, as the model reads it. Labels[t] is the target
// of position t, the token that should come after IDs[t] (already shifted), or Ignored.
type Sequence struct {
	IDs, Labels []int32
	Source      Source
	Task        int  // of a Mixture
	HeldOut     bool // of a row that is
	Judgment    Judgment
	// Answer is the first position whose label is the judged answer's; labels before it that count are the
	// prompt's.
	Answer int
	// Rejected is the worse answer to the same prompt, of a pair, which is never parted; nil: none.
	Rejected *Sequence
}

// Tokens is the number of positions, of both answers where it is a pair.
func (s Sequence) Tokens() int {
	n := len(s.IDs)
	if s.Rejected != nil {
		n += len(s.Rejected.IDs)
	}
	return n
}

// NewSequence is the row prompt + answer, cut to its first maxLen positions. Each
// token of the answer is the label of the position before it, so that the last one is
// a label only. The ids include what BOS and EOS there should be.
func NewSequence(prompt, answer []int32, maxLen int) Sequence {
	e := promptAndAnswer(prompt, answer)
	return e.part(0, min(e.positions(), maxLen))
}

// Counted is the number of positions that count in the loss, of both answers where it is a pair.
func (s Sequence) Counted() int {
	n := batch.Batch{Labels: s.Labels}.Counted()
	if s.Rejected != nil {
		n += s.Rejected.Counted()
	}
	return n
}

// CheckIDs returns an error for the first sequence with an id that a model with so many embeddings does
// not have, by its row and the token.
func CheckIDs(tok tokenizer.Tokenizer, seqs []Sequence, model int) error {
	for _, s := range seqs {
		err := tokenizer.CheckIDs(tok, s.IDs, model)
		if n := len(s.Labels); err == nil && n > 0 && s.Labels[n-1] != Ignored { // the others are ids
			err = tokenizer.CheckIDs(tok, s.Labels[n-1:], model)
		}
		if err != nil {
			return fmt.Errorf("data: %s: %w", s.Source, err)
		}
		if s.Rejected != nil {
			if err := CheckIDs(tok, []Sequence{*s.Rejected}, model); err != nil {
				return err
			}
		}
	}
	return nil
}
