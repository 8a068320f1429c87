package tokenizer

import "unicode/utf8"

// Encode implements Tokenizer. Added tokens that are not special are found in text.
func (t *SentencePiece) Encode(text string) []int32 {
	return t.EncodeParts([]Part{{Text: text}})
}

// encode gives the ids of a text without added tokens; prefix puts a space in front.
//
// The text is first cut into words: between two characters that stand side by side in
// no piece. No merge crosses such a cut, so it changes nothing; the heap stays small,
// and words can be remembered.
func (t *SentencePiece) encode(text string, prefix bool) []int32 {
	norm := string(t.normalize(text, prefix))
	m, ok := t.mergers.Get().(*merger)
	if !ok {
		m = newMerger()
	}
	defer t.mergers.Put(m)
	e := spEncoder{t: t, ids: make([]int32, 0, len(norm)/3+1)}
	for from := 0; from < len(norm); {
		to := t.wordEnd(norm, from)
		e.word(m, norm[from:to])
		from = to
	}
	return e.ids
}

// wordEnd is where the word that begins at from ends.
func (t *SentencePiece) wordEnd(norm string, from int) int {
	if t.hasUnused {
		return len(norm) // how an unused piece is split may depend on other words
	}
	for i := from + 1; i < len(norm); i++ {
		if utf8.RuneStart(norm[i]) && !t.joins[norm[i-1]][norm[i]] {
			return i
		}
	}
	return len(norm)
}

// spEncoder collects ids.
type spEncoder struct {
	t        *SentencePiece
	ids      []int32
	afterUnk bool
}

func (e *spEncoder) word(m *merger, word string) {
	// Without byte fallback a word's ids depend on whether an unknown stands before it.
	if e.t.byteFallback {
		if ids, ok := m.words[word]; ok {
			e.ids = append(e.ids, ids...)
			return
		}
	}
	from := len(e.ids)
	e.t.merge(m, word)
	for i := 0; i >= 0; i = m.symbols[i].next {
		s := m.symbols[i]
		e.piece(m, word[s.start:s.end])
	}
	if e.t.byteFallback {
		m.remember(word, e.ids[from:])
	}
}

// piece emits one symbol: its id, its bytes, or one unknown id for a run of them.
func (e *spEncoder) piece(m *merger, s string) {
	id, ok := e.t.ids[s]
	switch {
	case ok && e.t.pieces[id].kind == unused && m.split[s] > 0:
		e.piece(m, s[:m.split[s]])
		e.piece(m, s[m.split[s]:])
		return
	case ok:
		e.ids = append(e.ids, id)
	case e.t.byteFallback:
		for i := range len(s) {
			e.ids = append(e.ids, e.t.byteIDs[s[i]])
		}
	case !e.afterUnk:
		e.ids = append(e.ids, e.t.unk)
	}
	e.afterUnk = !ok
}

// merge leaves the pieces of text, which is not empty, in m. Symbols are characters
// and user-defined pieces.
func (t *SentencePiece) merge(m *merger, text string) {
	m.begin(text)
	for at := 0; at < len(text); {
		n := t.userDefined.longest(text[at:])
		fixed := n > 0
		if !fixed {
			_, n = utf8.DecodeRuneInString(text[at:])
		}
		m.add(n, 0, fixed)
		at += n
	}
	m.merge(t)
}

// join implements joiner: any two symbols whose text is a piece, by its score.
func (t *SentencePiece) join(m *merger, l, r symbol) (int32, float32, bool) {
	s := m.text[l.start:r.end]
	id, ok := t.ids[s]
	if !ok {
		return 0, 0, false
	}
	if t.pieces[id].kind == unused {
		if m.split == nil {
			m.split = map[string]int{}
		}
		m.split[s] = l.end - l.start
	}
	return id, t.pieces[id].score, true
}
