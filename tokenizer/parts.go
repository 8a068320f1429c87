package tokenizer

// Part is a piece of a prompt: text, or a special token.
type Part struct {
	Text    string // of the text; a special token's spelling
	Special bool
	ID      int32 // of a special token
}

// PartEncoder is what prompts with special tokens in them need; every Tokenizer of
// this package is one. Encode takes everything for text, so that nobody can write
// "<|eot_id|>" into a question and end it. Who builds a prompt says what is special.
type PartEncoder interface {
	Tokenizer
	// Special is the id of the special token of that spelling.
	Special(spelling string) (id int32, ok bool)
	// SplitSpecial takes the special tokens in text for what they are. It is for
	// templates, never for what users wrote.
	SplitSpecial(text string) []Part
	// EncodeParts gives the ids of the parts, one after the other.
	EncodeParts(parts []Part) []int32
}
