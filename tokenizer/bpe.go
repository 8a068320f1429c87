package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Encode implements Tokenizer.
//
// BPE starts from characters (and user-defined pieces) and joins, again and again,
// the two neighbours whose joint piece has the best score, the leftmost of equals. A
// heap holds the pairs and a linked list the symbols: n log n for n characters. The
// text is first cut into words: between two characters that stand side by side in no
// piece. No merge crosses such a cut, so it changes nothing; the heap stays small, and
// words can be remembered.
func (t *SentencePiece) Encode(text string) []int32 {
	norm := string(t.normalize(text))
	m, ok := t.mergers.Get().(*merger)
	if !ok {
		m = &merger{words: map[string][]int32{}}
	}
	defer t.mergers.Put(m)
	e := encoder{t: t, ids: make([]int32, 0, len(norm)/3+1)}
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

// encoder collects ids.
type encoder struct {
	t        *SentencePiece
	ids      []int32
	afterUnk bool
}

// Words to remember are short; the memory is emptied when it holds many.
const (
	maxWordBytes = 32
	maxWords     = 1 << 14
)

func (e *encoder) word(m *merger, word string) {
	// Without byte fallback a word's ids depend on whether an unknown stands before it.
	remember := len(word) <= maxWordBytes && e.t.byteFallback
	if remember {
		if ids, ok := m.words[word]; ok {
			e.ids = append(e.ids, ids...)
			return
		}
	}
	from := len(e.ids)
	m.merge(e.t, word)
	for i := 0; i >= 0; i = m.symbols[i].next {
		s := m.symbols[i]
		e.piece(m, word[s.start:s.end])
	}
	if remember {
		if len(m.words) == maxWords {
			clear(m.words)
		}
		m.words[strings.Clone(word)] = slices.Clone(e.ids[from:])
	}
}

// piece emits one symbol: its id, its bytes, or one unknown id for a run of them.
func (e *encoder) piece(m *merger, s string) {
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

// merger is the working memory of Encode, used again by later calls.
type merger struct {
	words   map[string][]int32 // ids of words met
	text    string
	symbols []symbol
	heap    []pair
	split   map[string]int // unused pieces: the length of the left one of the two last seen to make it
}

// symbol is text[start:end], or nothing once it has been joined to its left.
type symbol struct {
	start, end, prev, next int
	fixed                  bool // a user-defined piece takes part in no merge
}

// pair is two neighbours that make a piece of size bytes.
type pair struct {
	left, right, size int
	score             float32
}

func (p pair) before(q pair) bool {
	return p.score > q.score || p.score == q.score && p.left < q.left
}

// merge leaves in m.symbols the pieces of text, from symbols[0] on; text is not empty.
func (m *merger) merge(t *SentencePiece, text string) {
	m.text, m.symbols, m.heap = text, m.symbols[:0], m.heap[:0]
	clear(m.split)
	for at := 0; at < len(text); {
		n := t.userDefined.longest(text[at:])
		fixed := n > 0
		if !fixed {
			_, n = utf8.DecodeRuneInString(text[at:])
		}
		i := len(m.symbols)
		m.symbols = append(m.symbols, symbol{at, at + n, i - 1, i + 1, fixed})
		at += n
	}
	m.symbols[len(m.symbols)-1].next = -1
	for i := 1; i < len(m.symbols); i++ {
		m.consider(t, i-1, i)
	}
	for len(m.heap) > 0 {
		p := m.pop()
		l, r := &m.symbols[p.left], &m.symbols[p.right]
		if r.start == r.end || l.start == l.end || r.end-l.start != p.size {
			continue // one of them has been merged since
		}
		l.end, l.next = r.end, r.next
		r.start = r.end
		if l.next >= 0 {
			m.symbols[l.next].prev = p.left
		}
		m.consider(t, l.prev, p.left)
		m.consider(t, p.left, l.next)
	}
}

// consider puts a pair on the heap if it makes a piece.
func (m *merger) consider(t *SentencePiece, left, right int) {
	if left < 0 || right < 0 || m.symbols[left].fixed || m.symbols[right].fixed {
		return
	}
	l, r := m.symbols[left], m.symbols[right]
	s := m.text[l.start:r.end]
	id, ok := t.ids[s]
	if !ok {
		return
	}
	if t.pieces[id].kind == unused {
		if m.split == nil {
			m.split = map[string]int{}
		}
		m.split[s] = l.end - l.start
	}
	m.push(pair{left, right, len(s), t.pieces[id].score})
}

// push and pop keep a binary heap: no pair is before its parent.

func (m *merger) push(p pair) {
	h := append(m.heap, p)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !p.before(h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = p
	m.heap = h
}

func (m *merger) pop() pair {
	h := m.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for 2*i+1 < len(h) {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
	m.heap = h
	return top
}
