package tokenizer

// Vocabulary is a SentencePiece model's table, for formats that carry one. The numbers of
// the types are those of sentencepiece_model.proto, which GGUF uses too: 1 normal,
// 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
type Vocabulary struct {
	Pieces      []string
	Scores      []float32
	Types       []int32
	Unknown     int32 // the id of the unknown piece
	DummyPrefix bool  // a space is put in front of a text
}

// Vocabulary is the table of the model.
func (t *SentencePiece) Vocabulary() Vocabulary {
	v := Vocabulary{Unknown: t.unk, DummyPrefix: t.addDummyPrefix}
	for _, p := range t.pieces {
		v.Pieces, v.Scores, v.Types = append(v.Pieces, p.text), append(v.Scores, p.score), append(v.Types, int32(p.kind))
	}
	return v
}
