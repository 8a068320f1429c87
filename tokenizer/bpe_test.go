package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// slowWord is BPE as it is told: over a whole word, join the best pair, the leftmost of
// equals, until none is left. No cuts, no heap, no memory.
func slowWord(t *BPE, word string) []int32 {
	if id, ok := t.ids[word]; ok && t.ignoreMerges {
		return []int32{id}
	}
	var ids []int32
	var parts []string
	add := func(id int32, s string) { ids, parts = append(ids, id), append(parts, s) }
	for at, n := 0, 0; at < len(word); at += n {
		n = 1
		if !t.byteLevel {
			_, n = utf8.DecodeRuneInString(word[at:])
		}
		s := word[at : at+n]
		if id, ok := t.ids[s]; ok {
			add(id, s)
			continue
		}
		for i := range n {
			add(t.byteIDs[s[i]], s[i:i+1])
		}
	}
	for {
		best, at, made := float32(0), -1, int32(0)
		for i := 0; i+1 < len(ids); i++ {
			m := merger{text: parts[i] + parts[i+1]}
			id, score, ok := t.join(&m, symbol{end: len(parts[i]), id: ids[i]},
				symbol{start: len(parts[i]), end: len(m.text), id: ids[i+1]})
			if ok && (at < 0 || score > best) {
				best, at, made = score, i, id
			}
		}
		if at < 0 {
			return ids
		}
		ids[at], parts[at] = made, parts[at]+parts[at+1]
		ids, parts = slices.Delete(ids, at+1, at+2), slices.Delete(parts, at+1, at+2)
	}
}

// slowBPE cuts words as the tokenizer does, and joins them slowly. There must be no
// added tokens in text.
func slowBPE(t *BPE, text string) []int32 {
	var ids []int32
	cutWords(t.preTokenizers, t.normalizers.apply(validText([]byte(text))), true, func(word string) {
		ids = append(ids, slowWord(t, word)...)
	})
	return ids
}

// threeKinds are encoders of each way to keep merges.
func threeKinds(t testing.TB) map[string]*BPE {
	byRank, err := parseTiktoken([]byte(ranks("aa", "ab", "ba", "aab", "abab", " a", "é", "aé", "  ", "a ")), nil)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*BPE{
		"bytes": parseJSON(t, change(t, "bytes", nil)),
		"chars": parseJSON(t, change(t, "chars", nil)),
		"ranks": byRank,
	}
}

func TestBPEEqualsPlain(t *testing.T) {
	letters := strings.Split("a|b|t|h|e|i|n|g|s|é|日| | |▁|<|>|1|2|3|\n|'|!|\xff", "|")
	r := rand.New(rand.NewPCG(7, 8))
	for name, tok := range threeKinds(t) {
		for range 2000 {
			text := ""
			for range r.IntN(30) {
				text += letters[r.IntN(len(letters))]
			}
			if got, want := tok.Encode(text), slowBPE(tok, text); !slices.Equal(got, want) {
				t.Fatalf("%s: %q:\ngot  %v\nwant %v", name, text, got, want)
			}
		}
	}
}
