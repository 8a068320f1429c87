package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// spaceSymbol is how SentencePiece writes a space: U+2581.
const spaceSymbol = "▁"

// SentencePiece is a BPE model of the SentencePiece library, and gives the ids and
// the text that the library gives. Make it by Load or NewSentencePiece.
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
	space                            string // of the normalized text

	// joins[a][b]: in some piece a character that ends with byte a stands before one
	// that begins with byte b.
	joins [256][256]bool

	special    *addedSet // control pieces and the unknown one by their spelling
	specials   map[string]int32
	added      *addedSet // tokens that text may be, looked for before anything else
	firstSpace bool      // of several texts only the first begins with a space

	mergers sync.Pool
}

// parseSentencePiece reads the content of a tokenizer.model.
func parseSentencePiece(b []byte, beside *addedFiles) (*SentencePiece, error) {
	m, err := parseModel(b)
	if err != nil {
		return nil, err
	}
	return newSentencePiece(m, beside)
}

func newSentencePiece(m *spModel, beside *addedFiles) (*SentencePiece, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	vocabulary, err := newPieceVocabulary(m.pieces)
	if err != nil {
		return nil, err
	}
	added, named, err := beside.resolve(vocabulary)
	if err != nil {
		return nil, err
	}
	added = append(added, named...)
	addPieces(m, added)
	t := &SentencePiece{
		pieces: m.pieces, surface: make([]string, len(m.pieces)), ids: make(map[string]int32, len(m.pieces)),
		byteFallback: m.byteFallback, bos: -1, eos: -1,
		addDummyPrefix: m.addDummyPrefix, removeExtraSpace: m.removeExtraSpace, space: spaceSymbol,
	}
	if !m.escapeSpaces {
		t.space = " "
	}
	var controls []addedToken
	var symbols []string
	for i, p := range m.pieces {
		id := int32(i)
		switch p.kind {
		case addedText:
			t.surface[i] = p.text
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
			controls = append(controls, addedToken{ID: id, Content: p.text, Special: true})
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
	}
	t.userDefined = newPrefixSet(symbols)
	var texts []addedToken
	for _, a := range added {
		if a.Special {
			controls = slices.DeleteFunc(controls, func(c addedToken) bool { return c.ID == a.ID })
			controls = append(controls, a)
		} else {
			texts = append(texts, a)
		}
	}
	t.special, t.specials = newSpecials(controls)
	t.added = newAddedSet(texts, func(s string) string { return s })
	return t, nil
}

// pieceVocabulary finds pieces by their text.
type pieceVocabulary struct {
	pieces []piece
	ids    map[string]int32
}

func newPieceVocabulary(pieces []piece) (*pieceVocabulary, error) {
	v := &pieceVocabulary{pieces, make(map[string]int32, len(pieces))}
	for i, p := range pieces {
		if _, ok := v.ids[p.text]; ok {
			return nil, fmt.Errorf("piece %d: want each piece once, got %.40q again", i, p.text)
		}
		v.ids[p.text] = int32(i)
	}
	return v, nil
}

func (v *pieceVocabulary) size() int { return len(v.pieces) }

func (v *pieceVocabulary) nameOf(id int32) string {
	if int(id) >= len(v.pieces) {
		return ""
	}
	return v.pieces[id].text
}

func (v *pieceVocabulary) idOf(name string) (int32, bool) {
	id, ok := v.ids[name]
	return id, ok
}

// addPieces makes pieces of the tokens that a model's file does not have. One that it has,
// and that is special now, is nothing that text becomes any more.
func addPieces(m *spModel, added []addedToken) {
	m.pieces = slices.Clone(m.pieces)
	for _, a := range added {
		if int(a.ID) == len(m.pieces) {
			kind := addedText
			if a.Special {
				kind = control
			}
			m.pieces = append(m.pieces, piece{a.Content, 0, kind})
			continue
		}
		switch p := &m.pieces[a.ID]; p.kind {
		case normal, unused, userDefined:
			if a.Special {
				p.kind = control
			}
		}
	}
}

// setSpaces takes what tokenizer_config.json says of the space in front of texts.
func (t *SentencePiece) setSpaces(files []*Config) {
	for _, c := range files {
		if !c.namesTokens() {
			continue
		}
		if c.Legacy != nil && !*c.Legacy {
			t.firstSpace = true
		}
		if c.AddPrefixSpace != nil && !*c.AddPrefixSpace {
			t.addDummyPrefix = false
		}
	}
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

// Special implements PartEncoder: control pieces are special, and so is the unknown one.
func (t *SentencePiece) Special(spelling string) (int32, bool) {
	id, ok := t.specials[spelling]
	return id, ok
}

// SplitSpecial implements PartEncoder.
func (t *SentencePiece) SplitSpecial(text string) []Part { return splitSpecial(t.special, text) }

// EncodeParts implements PartEncoder. Each text begins as Encode lets a text begin, if
// the model says so with a space in front: so does LLaMA 2's own reader.
func (t *SentencePiece) EncodeParts(parts []Part) []int32 {
	e := spParts{t: t, first: true}
	for _, p := range parts {
		if p.Special {
			e.token(addedToken{ID: p.ID})
		} else {
			t.added.each(p.Text, e.text, e.token)
		}
	}
	return e.ids
}

// spParts collects ids.
type spParts struct {
	t     *SentencePiece
	ids   []int32
	first bool // nothing stands before
}

func (e *spParts) token(a addedToken) {
	e.ids = append(e.ids, a.ID)
	e.first = false
}

func (e *spParts) text(text string) {
	e.ids = append(e.ids, e.t.encode(text, e.t.addDummyPrefix && (e.first || !e.t.firstSpace))...)
	e.first = false
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
func (t *SentencePiece) normalize(text string, prefix bool) []byte {
	for t.removeExtraSpace && strings.HasPrefix(text, " ") && t.userDefined.longest(text) <= 1 {
		text = text[1:]
	}
	if text == "" {
		return nil
	}
	out := make([]byte, 0, len(text)+len(text)/2+len(t.space))
	if prefix {
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
