package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// slowEncode is BPE as it is told: over the whole text, join the best pair, the
// leftmost of equals, until none is left. No cuts, no heap.
func slowEncode(t *SentencePiece, text string) []int32 {
	type part struct {
		s     string
		fixed bool
	}
	var parts []part
	for s := string(t.normalize(text, t.addDummyPrefix)); s != ""; {
		p := part{}
		for _, x := range t.pieces { // the longest user-defined piece
			if x.kind == userDefined && strings.HasPrefix(s, x.text) && len(x.text) > len(p.s) {
				p = part{x.text, true}
			}
		}
		if p.s == "" {
			_, n := utf8.DecodeRuneInString(s)
			p.s = s[:n]
		}
		parts = append(parts, p)
		s = s[len(p.s):]
	}
	for {
		best, at := float32(0), -1
		for i := 0; i+1 < len(parts); i++ {
			if parts[i].fixed || parts[i+1].fixed {
				continue
			}
			id, ok := t.ids[parts[i].s+parts[i+1].s]
			if ok && (at < 0 || t.pieces[id].score > best) {
				best, at = t.pieces[id].score, i
			}
		}
		if at < 0 {
			break
		}
		parts[at].s += parts[at+1].s
		parts = slices.Delete(parts, at+1, at+2)
	}
	e := spEncoder{t: t}
	for _, p := range parts {
		e.piece(&merger{}, p.s)
	}
	return e.ids
}

// randomModel has pieces over a, b, é and the space, with many equal scores, some of
// them user-defined, in one of several settings.
func randomModel(r *rand.Rand) modelFile {
	letters := []string{"a", "b", "é", "▁"}
	m := modelFile{pieces: basic(), noDummy: r.IntN(2) == 0, keepSpace: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		m.pieces, m.byteFallback = withBytes(m.pieces), true
	}
	seen := map[string]bool{}
	for range 4 + r.IntN(30) {
		s := ""
		for range 1 + r.IntN(4) {
			s += letters[r.IntN(len(letters))]
		}
		if !seen[s] {
			seen[s] = true
			p := piece{s, float32(r.IntN(5)), normal}
			if r.IntN(12) == 0 {
				p.kind = userDefined
			}
			m.pieces = append(m.pieces, p)
		}
	}
	return m
}

func TestEncodeEqualsPlainBPE(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "é", " ", "▁", "ü", "a"}
	for range 300 {
		m := randomModel(r)
		tok := parse(t, m)
		for range 10 {
			text := ""
			for range r.IntN(40) {
				text += letters[r.IntN(len(letters))]
			}
			got, want := tok.Encode(text), slowEncode(tok, text)
			if !slices.Equal(got, want) {
				t.Fatalf("%q with %v:\ngot  %v\nwant %v", text, m.pieces, got, want)
			}
		}
	}
}

func TestPrefixSet(t *testing.T) {
	s := newPrefixSet([]string{"a", "abc", "abcd", "b", "é", "abd"})
	for text, want := range map[string]int{"": 0, "x": 0, "a": 1, "ab": 1, "abc": 3, "abcdx": 4, "abd": 3, "b": 1,
		"ba": 1, "é": 2, "\xc3": 0} {
		if got := s.longest(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// One word of 400,000 characters: quadratic work would not end.
func TestEncodeLongWord(t *testing.T) {
	tok := parse(t, llama("aaaa", "aa", "a", "▁"))
	if got, want := len(tok.Encode(strings.Repeat("a", 400_000))), 1+100_000; got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
}

// Words that are remembered come out the same, also from two goroutines at once and
// after the memory has been emptied.
func TestEncodeRemembersWords(t *testing.T) {
	tok := parse(t, llama("ab", "▁a", "aa", "a", "b", "▁", "▁b"))
	r := rand.New(rand.NewPCG(3, 4))
	var words []string
	var want []int32
	for range maxWords + 1000 {
		word := make([]byte, 18)
		for i := range word {
			word[i] = "ab"[r.IntN(2)]
		}
		words = append(words, string(word))
		want = append(want, slowEncode(tok, string(word))...)
	}
	text := strings.Join(append(words, words[:1000]...), " ")
	want = append(want, want[:len(tok.Encode(strings.Join(words[:1000], " ")))]...)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for range 2 {
				if !slices.Equal(tok.Encode(text), want) {
					t.Error("got other ids than word by word")
				}
			}
		})
	}
	wait.Wait()
}
