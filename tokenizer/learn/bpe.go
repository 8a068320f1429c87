// Package learn makes vocabularies of texts.
package learn

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/agora-ml/agora/tokenizer"
)

// Options say what vocabulary BPE makes. The zero value of all but Vocabulary has
// the values with which LLaMA's was made.
type Options struct {
	Vocabulary int // pieces in all: 3 controls, 256 bytes, merges, and the characters
	// Coverage is the share of the text's characters that have a piece of their own; 0: 0.99995.
	// The others become bytes.
	Coverage float64
	MaxPiece int // characters of a piece at most; 0: 16
}

// Types of pieces, see tokenizer.Vocabulary.
const (
	normal   = 1
	unknown  = 2
	control  = 3
	byteType = 6
)

// spaceSymbol is how SentencePiece writes a space: U+2581.
const spaceSymbol = "▁"

// controls are the pieces in front of the bytes: unknown, BOS and EOS.
var controls = []string{"<unk>", "<s>", "</s>"}

// BPE makes a SentencePiece BPE vocabulary of texts (Sennrich et al., 1508.07909; Kudo and
// Richardson, 1808.06226): as often as there is room, the two pieces that most often stand side by
// side become one. As in LLaMA's, pieces do not reach across spaces, line ends, digits (each is a
// piece) or from letters of one script to another or to punctuation; a space belongs to what
// follows it; what has no piece becomes bytes. The result depends on the texts alone: of pairs that
// are equally frequent the shorter, then the first in the order of code points counts.
func BPE(texts iter.Seq[string], o Options) (tokenizer.Vocabulary, error) {
	o.Coverage, o.MaxPiece = cmp.Or(o.Coverage, 0.99995), cmp.Or(o.MaxPiece, 16)
	switch {
	case o.Coverage < 0 || o.Coverage > 1 || math.IsNaN(o.Coverage):
		return tokenizer.Vocabulary{}, fmt.Errorf("learn: coverage %v: want above 0, at most 1", o.Coverage)
	case o.MaxPiece < 1:
		return tokenizer.Vocabulary{}, fmt.Errorf("learn: pieces of at most %d characters: want at least 1", o.MaxPiece)
	}
	words, characters := countWords(texts)
	if len(characters) == 0 {
		return tokenizer.Vocabulary{}, fmt.Errorf("learn: want text to learn from, got none")
	}
	alphabet := frequent(characters, o.Coverage)
	fixed := len(controls) + 256
	if least := fixed + len(alphabet); o.Vocabulary < least || o.Vocabulary > math.MaxInt32 {
		return tokenizer.Vocabulary{}, fmt.Errorf("learn: a vocabulary of %d pieces: want at least %d, for %d"+
			" controls, 256 bytes and %d characters", o.Vocabulary, least, len(controls), len(alphabet))
	}
	pieces := merge(words, alphabet, o.Vocabulary-fixed-len(alphabet), o.MaxPiece)
	if n := fixed + len(pieces) + len(alphabet); n < o.Vocabulary {
		return tokenizer.Vocabulary{}, fmt.Errorf("learn: a vocabulary of %d pieces: want at most %d, or more text:"+
			" nothing else stands side by side twice", o.Vocabulary, n)
	}

	v := tokenizer.Vocabulary{Unknown: 0, BOS: 1, EOS: 2, DummyPrefix: true}
	add := func(text string, score float32, kind int32) {
		v.Pieces, v.Scores, v.Types = append(v.Pieces, text), append(v.Scores, score), append(v.Types, kind)
	}
	add(controls[0], 0, unknown)
	add(controls[1], 0, control)
	add(controls[2], 0, control)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), 0, byteType)
	}
	for i, text := range append(pieces, alphabet...) {
		add(text, float32(-i), normal)
	}
	return v, nil
}

// countWords counts what merges happen within, and the characters.
func countWords(texts iter.Seq[string]) (words map[string]int, characters map[rune]int) {
	words, characters = map[string]int{}, map[rune]int{}
	for text := range texts {
		if text == "" {
			continue
		}
		start, before := 0, boundary
		text = spaceSymbol + text // the space that the encoder puts in front
		for at, r := range text {
			if r == ' ' || r == '▁' {
				r = '▁'
			}
			class := classOf(r)
			// A space begins a word and belongs to what follows, whatever that is.
			if at > start && (class == space || class != before && before != space || class == boundary) {
				count(words, characters, text[start:at])
				start = at
			}
			before = class
		}
		count(words, characters, text[start:])
	}
	return words, characters
}

func count(words map[string]int, characters map[rune]int, word string) {
	spelled := make([]rune, 0, len(word))
	for _, r := range word {
		switch r {
		case ' ':
			r = '▁'
		case '\n', '\r', '\t', utf8.RuneError:
			return // bytes
		}
		spelled = append(spelled, r)
		characters[r]++
	}
	if len(spelled) > 0 {
		words[string(spelled)]++
	}
}

// class is what a piece may hold side by side.
type class int

const (
	boundary class = -1 - iota // a piece of its own: a digit
	space
	common // punctuation, symbols
)

// scripts are Unicode's, in a fixed order; a letter's class is its script's number.
var scripts = slices.Sorted(maps.Keys(unicode.Scripts))

func classOf(r rune) class {
	switch {
	case r == '▁':
		return space
	case r < utf8.RuneSelf && ('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'):
		return latin
	case unicode.IsDigit(r) || unicode.IsControl(r):
		return boundary
	case !unicode.IsLetter(r) && !unicode.IsMark(r):
		return common
	}
	for i, name := range scripts {
		if unicode.Is(unicode.Scripts[name], r) {
			switch name {
			case "Hiragana", "Katakana", "Common", "Inherited": // Japanese mixes them with Han
				return han
			}
			return class(i)
		}
	}
	return common
}

var (
	latin = class(slices.Index(scripts, "Latin"))
	han   = class(slices.Index(scripts, "Han"))
)

// frequent are the most frequent characters that together are this share of all.
func frequent(characters map[rune]int, coverage float64) []string {
	order := slices.SortedFunc(maps.Keys(characters), func(a, b rune) int {
		return cmp.Or(characters[b]-characters[a], int(a-b))
	})
	total := 0
	for _, n := range characters {
		total += n
	}
	var alphabet []string
	covered := 0
	for _, r := range order {
		if float64(covered) >= coverage*float64(total) {
			break
		}
		covered += characters[r]
		alphabet = append(alphabet, string(r))
	}
	if !slices.Contains(alphabet, spaceSymbol) {
		alphabet = append(alphabet, spaceSymbol)
	}
	return alphabet
}

// pair is two pieces side by side.
type pair struct{ left, right int }

// candidate is a pair that may become a piece, with the count it had when it was put forward.
type candidate struct {
	pair
	count int
	text  string
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return cmp.Or(c[j].count-c[i].count, len(c[i].text)-len(c[j].text), cmp.Compare(c[i].text, c[j].text)) < 0
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// trainer is a training on its way.
type trainer struct {
	words  [][]int // as pieces; -1 where a character has none
	counts []int
	texts  []string // of the pieces
	ids    map[string]int
	length []int // in characters
	pairs  map[pair]int
	where  map[pair]map[int]bool // words that may hold the pair
	queue  candidates
	most   int // characters of a piece
}

// merge gives n new pieces at most, the first made first.
func merge(words map[string]int, alphabet []string, n, most int) (made []string) {
	t := &trainer{ids: map[string]int{}, pairs: map[pair]int{}, where: map[pair]map[int]bool{}, most: most}
	for i, c := range alphabet {
		t.ids[c] = i
		t.texts, t.length = append(t.texts, c), append(t.length, 1)
	}
	for _, word := range slices.Sorted(maps.Keys(words)) {
		var pieces []int
		for _, r := range word {
			id, ok := t.ids[string(r)]
			if !ok {
				id = -1
			}
			pieces = append(pieces, id)
		}
		t.words, t.counts = append(t.words, pieces), append(t.counts, words[word])
	}
	for w := range t.words {
		t.each(w, func(p pair) { t.note(p, w, t.counts[w]) })
	}
	for p := range t.pairs {
		t.queue = append(t.queue, t.candidate(p))
	}
	heap.Init(&t.queue)
	for len(made) < n && t.queue.Len() > 0 {
		c := heap.Pop(&t.queue).(candidate)
		if now := t.pairs[c.pair]; now != c.count { // since then some have gone into other pieces
			if now > 0 {
				heap.Push(&t.queue, t.candidate(c.pair))
			}
			continue
		}
		if c.count < 2 && len(made) > 0 {
			break // what stands somewhere once teaches nothing
		}
		if _, known := t.ids[c.text]; !known { // else another pair has given the same text
			t.ids[c.text] = len(t.texts)
			t.texts, t.length = append(t.texts, c.text), append(t.length, t.length[c.left]+t.length[c.right])
			made = append(made, c.text)
		}
		t.join(c, t.ids[c.text])
	}
	return made
}

func (t *trainer) candidate(p pair) candidate {
	return candidate{p, t.pairs[p], t.texts[p.left] + t.texts[p.right]}
}

// each calls f for the pairs of a word that may become a piece.
func (t *trainer) each(w int, f func(pair)) {
	pieces := t.words[w]
	for i := 1; i < len(pieces); i++ {
		if l, r := pieces[i-1], pieces[i]; l >= 0 && r >= 0 && t.length[l]+t.length[r] <= t.most {
			f(pair{l, r})
		}
	}
}

func (t *trainer) note(p pair, w, count int) {
	if t.pairs[p] += count; t.pairs[p] == 0 {
		delete(t.pairs, p)
	}
	if count > 0 {
		if t.where[p] == nil {
			t.where[p] = map[int]bool{}
		}
		t.where[p][w] = true
	}
}

// join puts a piece wherever the pair stands.
func (t *trainer) join(c candidate, id int) {
	changed := map[pair]bool{}
	for w := range t.where[c.pair] {
		t.each(w, func(p pair) { t.note(p, w, -t.counts[w]) })
		pieces, n := t.words[w], 0
		for i := 0; i < len(pieces); i++ {
			p := pieces[i]
			if i+1 < len(pieces) && p == c.left && pieces[i+1] == c.right {
				p = id
				i++
			}
			pieces[n] = p
			n++
		}
		t.words[w] = pieces[:n]
		t.each(w, func(p pair) {
			t.note(p, w, t.counts[w])
			if p.left == id || p.right == id {
				changed[p] = true
			}
		})
	}
	delete(t.where, c.pair)
	for p := range changed {
		heap.Push(&t.queue, t.candidate(p))
	}
}
