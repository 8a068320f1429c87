package tokenizer

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// spaceSymbol is how SentencePiece writes a space: U+2581.
const spaceSymbol = "▁"

// SentencePiece is a BPE model of the SentencePiece library, and gives the ids and
// the text that the library gives. Make it by Load or ParseSentencePiece.
type SentencePiece struct {
	pieces       []piece
	surface      []string         // what each piece is in the text, before a leading space is dropped
	ids          map[string]int32 // the pieces that text can become: normal, user-defined, unused
	userDefined  prefixSet
	hasUnused    bool
	byteIDs      [256]int32
	byteFallback bool
	unk          int32
	bos, eos     int32 // -1: none

	addDummyPrefix, removeExtraSpace bool
	space                            string // of the normalised text

	// joins[a][b]: in some piece a character that ends with byte a stands before one
	// that begins with byte b.
	joins [256][256]bool

	special  *addedSet // control pieces by their spelling
	specials map[string]int32

	mergers sync.Pool
}

// ParseSentencePiece reads the content of a tokenizer.model.
func ParseSentencePiece(b []byte) (*SentencePiece, error) {
	m, err := parseModel(b)
	if err != nil {
		return nil, err
	}
	return newSentencePiece(m)
}

func newSentencePiece(m *spModel) (*SentencePiece, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	t := &SentencePiece{
		pieces: m.pieces, surface: make([]string, len(m.pieces)), ids: make(map[string]int32, len(m.pieces)),
		byteFallback: m.byteFallback, bos: -1, eos: -1,
		addDummyPrefix: m.addDummyPrefix, removeExtraSpace: m.removeExtraSpace, space: spaceSymbol,
	}
	if !m.escapeSpaces {
		t.space = " "
	}
	reserved := map[string]bool{}
	var controls []addedToken
	var symbols []string
	for i, p := range m.pieces {
		id := int32(i)
		if _, ok := t.ids[p.text]; ok || reserved[p.text] {
			return nil, fmt.Errorf("piece %d: want each piece once, got %.40q again", i, p.text)
		}
		switch p.kind {
		case normal, unused, userDefined:
			t.ids[p.text] = id
			t.surface[i] = strings.ReplaceAll(p.text, spaceSymbol, " ")
			t.noteJoins(p.text)
			t.hasUnused = t.hasUnused || p.kind == unused
			if p.kind == userDefined {
				symbols = append(symbols, p.text)
			}
			continue
		case unknown:
			t.unk = id
			t.surface[i] = m.unkSurface
		case control:
			controls = append(controls, addedToken{ID: id, Content: p.text, Special: true})
			switch p.text {
			case m.bosPiece:
				t.bos = id
			case m.eosPiece:
				t.eos = id
			}
		case byteType:
			b, _ := byteValue(p.text)
			t.byteIDs[b] = id
			t.surface[i] = string([]byte{b})
		}
		reserved[p.text] = true
	}
	t.userDefined = newPrefixSet(symbols)
	t.special, t.specials = newSpecials(controls)
	return t, nil
}

func (t *SentencePiece) noteJoins(text string) {
	for i := 1; i < len(text); i++ {
		if utf8.RuneStart(text[i]) {
			t.joins[text[i-1]][text[i]] = true
		}
	}
}

// VocabSize implements Tokenizer.
func (t *SentencePiece) VocabSize() int { return len(t.pieces) }

// BOS implements Tokenizer.
func (t *SentencePiece) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS implements Tokenizer.
func (t *SentencePiece) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// Piece implements Tokenizer.
func (t *SentencePiece) Piece(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.pieces[id].text
}

func (t *SentencePiece) has(id int32) bool { return id >= 0 && int(id) < len(t.pieces) }

// Special implements PartEncoder: control pieces are special.
func (t *SentencePiece) Special(spelling string) (int32, bool) {
	id, ok := t.specials[spelling]
	return id, ok
}

// SplitSpecial implements PartEncoder.
func (t *SentencePiece) SplitSpecial(text string) []Part { return splitSpecial(t.special, text) }

// EncodeParts implements PartEncoder. Each text begins as Encode lets a text begin, if
// the model says so with a space in front: so does LLaMA 2's own reader.
func (t *SentencePiece) EncodeParts(parts []Part) []int32 {
	var ids []int32
	for _, p := range parts {
		if p.Special {
			ids = append(ids, p.ID)
		} else {
			ids = append(ids, t.Encode(p.Text)...)
		}
	}
	return ids
}

// Decode implements Tokenizer.
func (t *SentencePiece) Decode(ids []int32) string { return decode(t, ids) }

// Append implements Tokenizer. An id outside the vocabulary, which a model with more
// outputs than pieces can give, reads as the unknown piece.
func (t *SentencePiece) Append(dst []byte, id int32, start bool) ([]byte, bool) {
	if !t.has(id) {
		id = t.unk
	}
	s := t.surface[id]
	dropped := false
	if start && (t.addDummyPrefix || t.removeExtraSpace) {
		switch t.pieces[id].kind {
		case normal, unused, userDefined:
			if dropped = strings.HasPrefix(t.pieces[id].text, spaceSymbol); dropped {
				s = s[1:]
			}
		}
	}
	// Spaces in front of a text are dropped all where the encoder removes extra ones,
	// else only the first.
	start = start && s == "" && (!dropped || t.removeExtraSpace)
	return append(dst, s...), start
}

// normalize is the library's Normalizer for the identity map: spaces as the model
// writes them, one in front, none too many, U+FFFD for bytes that are not UTF-8.
func (t *SentencePiece) normalize(text string) []byte {
	for t.removeExtraSpace && strings.HasPrefix(text, " ") && t.userDefined.longest(text) <= 1 {
		text = text[1:]
	}
	if text == "" {
		return nil
	}
	out := make([]byte, 0, len(text)+len(text)/2+len(t.space))
	if t.addDummyPrefix {
		out = append(out, t.space...)
	}
	afterSpace := t.removeExtraSpace
	for text != "" {
		n := t.userDefined.longest(text)
		part := text[:n]
		if n == 0 {
			r, width := utf8.DecodeRuneInString(text)
			n, part = width, text[:width]
			if r == utf8.RuneError && width == 1 {
				part = "\uFFFD"
			}
		}
		text = text[n:]
		if afterSpace {
			part = strings.TrimLeft(part, " ")
		}
		for i := range len(part) {
			if part[i] == ' ' {
				out = append(out, t.space...)
			} else {
				out = append(out, part[i])
			}
		}
		if part != "" {
			afterSpace = t.removeExtraSpace && part[len(part)-1] == ' '
		}
	}
	if t.removeExtraSpace {
		for bytes.HasSuffix(out, []byte(t.space)) {
			out = out[:len(out)-len(t.space)]
		}
	}
	return out
}
