package tokenizer

import "fmt"

// OutsideError is a token that a model has no embedding for.
type OutsideError struct {
	ID        int32
	Piece     string // how the vocabulary spells it
	Tokenizer int    // ids of the tokenizer
	Model     int    // embeddings of the model
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("token %.60q (id %d): want an id below the %d of the model's vocabulary, got one of the"+
		" tokenizer's %d", e.Piece, e.ID, e.Model, e.Tokenizer)
}

// CheckIDs returns the first of ids that is none of a model with so many embeddings, as an
// *OutsideError.
func CheckIDs(t Tokenizer, ids []int32, model int) error {
	for _, id := range ids {
		if id < 0 || int(id) >= model {
			return &OutsideError{id, t.Piece(id), t.VocabSize(), model}
		}
	}
	return nil
}

// CheckFits compares a tokenizer with a model of so many embeddings: BOS and EOS must be
// among them. Where other ids of the tokenizer are not, warning says so; such an id must
// then not be used, see CheckIDs. A model with more embeddings is in order: many are
// rounded up.
func CheckFits(t Tokenizer, model int) (warning string, err error) {
	if t.VocabSize() <= model {
		return "", nil
	}
	for _, end := range []struct {
		does string
		id   func() (int32, bool)
	}{{"begins", t.BOS}, {"ends", t.EOS}} {
		if id, ok := end.id(); ok && int(id) >= model {
			return "", fmt.Errorf("the token that %s a text: %w", end.does, CheckIDs(t, []int32{id}, model))
		}
	}
	warning = fmt.Sprintf("warning: the tokenizer has %d ids, the model's vocabulary %d: rows that need an id from "+
		"%d on",
		t.VocabSize(), model, model)
	for id := model; id < t.VocabSize(); id++ {
		if piece := t.Piece(int32(id)); piece != "" { // there may be gaps
			warning += fmt.Sprintf(", such as %.60q,", piece)
			break
		}
	}
	return warning + " are refused", nil
}
