package tokenizer

import (
	"sync"
	"unicode/utf8"
)

// BPE is a byte-pair encoder as tokenizer.json or tiktoken's file describes it. Make
// it by Load or ParseJSON.
//
// Text goes through added tokens, normalizers, again added tokens, pre-tokenizers and
// the merges; ids become text by one string an id.
type BPE struct {
	names   []string // what the vocabulary calls each id, "" for none
	surface []string // what each id is in a text
	head    []string // what it is at the beginning of a text, if that differs

	// Words are strings of bytes if byteLevel, else of characters.
	byteLevel bool
	ids       map[string]int32   // what words are made of: no special tokens
	merges    map[[2]int32]merge // nil: what makes a token is joined, the lowest id first

	ignoreMerges bool       // a word that is a token is that token
	byteIDs      [256]int32 // of the bytes themselves; -1: none
	unk          int32      // -1: what has no token is left out
	fuseUnk      bool

	// cuts[a][b]: no merge joins something that ends in byte a to something that
	// begins with byte b, so a word may be cut there. nil where that is not sure.
	cuts *[256][256]bool

	cut           string // the pattern that cuts words, where it is one (see cutOf)
	normalizers   normalizers
	preTokenizers []preTokenizer
	special       *addedSet        // by their spelling, for SplitSpecial
	plain         [2]*addedSet     // tokens that text may be, looked for before and after the normalizers
	specials      map[string]int32 // by spelling
	skipped       map[int32]bool   // special ids, which have no text
	bos, eos      int32            // -1: none
	start         startRule        // how a text begins

	mergers sync.Pool
}

type merge struct {
	rank, id int32
}

// VocabSize implements Tokenizer.
func (t *BPE) VocabSize() int { return len(t.names) }

// BOS implements Tokenizer.
func (t *BPE) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS implements Tokenizer.
func (t *BPE) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// Piece implements Tokenizer.
func (t *BPE) Piece(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.names[id]
}

func (t *BPE) has(id int32) bool { return id >= 0 && int(id) < len(t.names) }

// Special implements PartEncoder.
func (t *BPE) Special(spelling string) (int32, bool) {
	id, ok := t.specials[spelling]
	return id, ok
}

// SplitSpecial implements PartEncoder.
func (t *BPE) SplitSpecial(text string) []Part { return splitSpecial(t.special, text) }

// Encode implements Tokenizer. Added tokens that are not special are found in text.
func (t *BPE) Encode(text string) []int32 {
	return t.EncodeParts([]Part{{Text: text}})
}

// EncodeParts implements PartEncoder.
func (t *BPE) EncodeParts(parts []Part) []int32 {
	m, ok := t.mergers.Get().(*merger)
	if !ok {
		m = newMerger()
	}
	defer t.mergers.Put(m)
	size := 0
	for _, p := range parts {
		size += 1 + len(p.Text)/3
	}
	e := bpeEncoder{t: t, m: m, ids: make([]int32, 0, size), first: true}
	for _, p := range parts {
		if p.Special {
			e.token(addedToken{ID: p.ID})
		} else {
			t.plain[0].each(validText([]byte(p.Text)), e.raw, e.token)
		}
	}
	return e.ids
}

// bpeEncoder collects ids.
type bpeEncoder struct {
	t     *BPE
	m     *merger
	ids   []int32
	first bool // nothing stands before
}

func (e *bpeEncoder) token(a addedToken) {
	e.ids = append(e.ids, a.ID)
	e.first = false
}

// raw takes text with no added token in it.
func (e *bpeEncoder) raw(text string) {
	e.t.plain[1].each(e.t.normalizers.apply(text), e.normalized, e.token)
}

func (e *bpeEncoder) normalized(text string) {
	cutWords(e.t.preTokenizers, text, e.first, e.word)
	e.first = false
}

// word takes a word that is not empty.
func (e *bpeEncoder) word(word string) {
	if e.t.ignoreMerges {
		if id, ok := e.t.ids[word]; ok {
			e.ids = append(e.ids, id)
			return
		}
	}
	if e.t.cuts == nil {
		e.uncut(word)
		return
	}
	from := 0
	for i := 1; i < len(word); i++ {
		if utf8.RuneStart(word[i]) && e.t.cuts[word[i-1]][word[i]] {
			e.uncut(word[from:i])
			from = i
		}
	}
	e.uncut(word[from:])
}

func (e *bpeEncoder) uncut(word string) {
	if len(word) <= maxWordBytes {
		if ids, ok := e.m.words[word]; ok {
			e.ids = append(e.ids, ids...)
			return
		}
	}
	from := len(e.ids)
	e.t.merge(e.m, word)
	if len(e.m.symbols) > 0 {
		for i := 0; i >= 0; i = e.m.symbols[i].next {
			e.ids = append(e.ids, e.m.symbols[i].id)
		}
	}
	e.m.remember(word, e.ids[from:])
}

// merge leaves the tokens of a word in m.
func (t *BPE) merge(m *merger, word string) {
	m.begin(word)
	unkBytes := 0 // of an unknown token that may yet grow
	for at, n := 0, 0; at < len(word); at += n {
		id, ok := int32(-1), false
		if t.byteLevel {
			n = 1
			id = t.byteIDs[word[at]]
			ok = id >= 0
		} else {
			_, n = utf8.DecodeRuneInString(word[at:])
			id, ok = t.ids[word[at:at+n]]
		}
		switch {
		case ok:
			unkBytes = t.addUnknown(m, unkBytes)
			m.add(n, id, false)
		case !t.byteLevel && t.hasBytes(word[at:at+n]):
			for i := range n {
				m.add(1, t.byteIDs[word[at+i]], false)
			}
		case t.unk >= 0:
			if !t.fuseUnk {
				unkBytes = t.addUnknown(m, unkBytes)
			}
			unkBytes += n
		}
	}
	t.addUnknown(m, unkBytes)
	if len(m.symbols) > 0 {
		m.merge(t)
	}
}

func (t *BPE) addUnknown(m *merger, bytes int) int {
	if bytes > 0 {
		m.add(bytes, t.unk, false)
	}
	return 0
}

func (t *BPE) hasBytes(s string) bool {
	for i := range len(s) {
		if t.byteIDs[s[i]] < 0 {
			return false
		}
	}
	return true
}

// join implements joiner. A rank is exact as a float32: there are fewer than 2^24.
func (t *BPE) join(m *merger, l, r symbol) (int32, float32, bool) {
	if t.merges == nil {
		id, ok := t.ids[m.text[l.start:r.end]]
		return id, -float32(id), ok
	}
	j, ok := t.merges[[2]int32{l.id, r.id}]
	return j.id, -float32(j.rank), ok
}

// Decode implements Tokenizer.
func (t *BPE) Decode(ids []int32) string { return decode(t, ids) }

// startRule is what a decoder drops at the beginning of a text.
type startRule int

const (
	keepStart startRule = iota
	stripOne            // one character, from the first token that has text
	firstOnly           // what the first token has in head is all there is to it
)

// Append implements Tokenizer. Special tokens have no text, nor has an id outside the
// vocabulary.
func (t *BPE) Append(dst []byte, id int32, start bool) ([]byte, bool) {
	if !t.has(id) || t.skipped[id] {
		return dst, start
	}
	s := t.surface[id]
	if !start || t.start == keepStart {
		return append(dst, s...), false
	}
	h := t.head[id]
	return append(dst, h...), t.start == stripOne && s == ""
}
