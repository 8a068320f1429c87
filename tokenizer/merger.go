package tokenizer

import (
	"slices"
	"strings"
)

// joiner says what two neighbors make: the id of their joint token and its score, of
// which the highest is joined first; or that they make none.
type joiner interface {
	join(m *merger, l, r symbol) (id int32, score float32, ok bool)
}

// merger is the working memory of an encoder, used again by later calls.
//
// BPE starts from small symbols and joins, again and again, the two neighbors whose
// joint token has the best score, the leftmost of equals. A heap holds the pairs and a
// linked list the symbols: n log n for n symbols.
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
	id                     int32 // for joiners that go by ids
	fixed                  bool  // takes part in no merge
}

// pair is two neighbors that make the token id, of size bytes.
type pair struct {
	left, right, size int
	score             float32
	id                int32
}

func (p pair) before(q pair) bool {
	return p.score > q.score || p.score == q.score && p.left < q.left
}

// Words to remember are short; the memory is emptied when it holds many.
const (
	maxWordBytes = 32
	maxWords     = 1 << 14
)

func newMerger() *merger { return &merger{words: map[string][]int32{}} }

// remember notes the ids of a word.
func (m *merger) remember(word string, ids []int32) {
	if len(word) > maxWordBytes {
		return
	}
	if len(m.words) == maxWords {
		clear(m.words)
	}
	m.words[strings.Clone(word)] = slices.Clone(ids)
}

// begin forgets the last text.
func (m *merger) begin(text string) {
	m.text, m.symbols, m.heap = text, m.symbols[:0], m.heap[:0]
	clear(m.split)
}

// add puts a symbol of n bytes at the end.
func (m *merger) add(n int, id int32, fixed bool) {
	i, start := len(m.symbols), 0
	if i > 0 {
		start = m.symbols[i-1].end
	}
	m.symbols = append(m.symbols, symbol{start, start + n, i - 1, i + 1, id, fixed})
}

// merge joins the symbols added since begin, of which there is at least one; the
// result starts at symbols[0] and goes on by next.
func (m *merger) merge(j joiner) {
	m.symbols[len(m.symbols)-1].next = -1
	for i := 1; i < len(m.symbols); i++ {
		m.consider(j, i-1, i)
	}
	for len(m.heap) > 0 {
		p := m.pop()
		l, r := &m.symbols[p.left], &m.symbols[p.right]
		if r.start == r.end || l.start == l.end || r.end-l.start != p.size {
			continue // one of them has been merged since
		}
		l.end, l.next, l.id = r.end, r.next, p.id
		r.start = r.end
		if l.next >= 0 {
			m.symbols[l.next].prev = p.left
		}
		m.consider(j, l.prev, p.left)
		m.consider(j, p.left, l.next)
	}
}

// consider puts a pair on the heap if it makes a token.
func (m *merger) consider(j joiner, left, right int) {
	if left < 0 || right < 0 || m.symbols[left].fixed || m.symbols[right].fixed {
		return
	}
	l, r := m.symbols[left], m.symbols[right]
	if id, score, ok := j.join(m, l, r); ok {
		m.push(pair{left, right, r.end - l.start, score, id})
	}
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
