// Package tokenizer turns text into the token ids of a model and back: the SentencePiece
// BPE of LLaMA 1 and 2 (tokenizer.model), tokenizer.json as LLaMA, Mistral and Qwen2
// folders have it, and LLaMA 3's list of ranks (also tokenizer.model). Package chat
// below it writes conversations.
package tokenizer

import (
	"errors"
	"unicode/utf8"
)

// Tokenizer is what training and generation need of one. It does not change, so
// several goroutines may use it at once.
type Tokenizer interface {
	// Encode gives the ids of text, without BOS or EOS. Everything in text is text:
	// "<s>" there is three characters, not the beginning of a sequence.
	Encode(text string) []int32
	// Decode gives the text of ids. Control tokens have none; what is not UTF-8
	// becomes U+FFFD, byte by byte.
	Decode(ids []int32) string
	// Append appends the bytes that one id adds to a text, perhaps a part of a
	// character. start says that the text has not begun, and comes back so for the
	// next id: a tokenizer may drop the space that its encoder put in front.
	Append(dst []byte, id int32, start bool) ([]byte, bool)
	// VocabSize is the number of ids; they are 0 to VocabSize-1.
	VocabSize() int
	// BOS and EOS are the ids that begin and end a sequence, if there are such.
	BOS() (id int32, ok bool)
	EOS() (id int32, ok bool)
	// Piece is the name of an id as the vocabulary spells it, "" if id is none.
	Piece(id int32) string
}

// EncodeWithBOS is BOS, if the tokenizer has one, and then text.
func EncodeWithBOS(t Tokenizer, text string) []int32 {
	if t == nil {
		panic(errNoTokenizer)
	}
	ids := t.Encode(text)
	if bos, ok := t.BOS(); ok {
		ids = append([]int32{bos}, ids...)
	}
	return ids
}

// Decoder turns ids into text as they come, never a part of a character.
type Decoder struct {
	tok     Tokenizer
	start   bool
	pending []byte // an incomplete character
}

// NewDecoder begins a text.
func NewDecoder(t Tokenizer) *Decoder {
	if t == nil {
		panic(errNoTokenizer)
	}
	return &Decoder{tok: t, start: true}
}

// errNoTokenizer is the panic of a caller's mistake.
var errNoTokenizer = errors.New("tokenizer: want a tokenizer, got nil")

// Push gives the text that id completes, which may be none. All that Push and a last
// Flush give, one after the other, is Decode of all ids.
func (d *Decoder) Push(id int32) string {
	d.pending, d.start = d.tok.Append(d.pending, id, d.start)
	n := len(d.pending) - incomplete(d.pending)
	s := validText(d.pending[:n])
	d.pending = append(d.pending[:0], d.pending[n:]...)
	return s
}

// Flush gives what is left at the end, U+FFFD for each byte of a cut character, and
// begins a new text.
func (d *Decoder) Flush() string {
	s := validText(d.pending)
	d.pending, d.start = d.pending[:0], true
	return s
}

// incomplete is the number of bytes at the end of b that may begin a character.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// validText is b with U+FFFD for each byte that belongs to no character.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}

// decode is Decode by Append.
func decode(t Tokenizer, ids []int32) string {
	var b []byte
	start := true
	for _, id := range ids {
		b, start = t.Append(b, id, start)
	}
	return validText(b)
}
