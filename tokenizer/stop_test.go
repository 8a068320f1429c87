package tokenizer

import (
	"strings"
	"testing"
)

// letters is a tokenizer whose ids are pieces of text.
func letters(t *testing.T) *SentencePiece {
	return parse(t, llama("a", "b", "c", "d", "ab", "bc", "cd", "ca", "bcd", "▁"))
}

// stopped pushes pieces and gives the text, and what was given when the last came.
func stopped(t *testing.T, stops []string, ids []int32) (text string, ended bool) {
	t.Helper()
	tok := letters(t)
	d := NewDecoder(tok)
	d.Push(tok.Encode("d")[0]) // a prompt: the space in front is its
	s := NewStopper(d, stops...)
	for i, id := range ids {
		more, end := s.Push(id)
		text += more
		// Nothing given may turn out to be in a stop string later.
		if whole := tok.Decode(ids); !strings.HasPrefix(whole, text) {
			t.Errorf("%q is no beginning of %q", text, whole)
		}
		if end {
			if rest := s.Flush(); rest != "" {
				t.Errorf("%q left after the end at piece %d", rest, i)
			}
			return text, true
		}
	}
	return text + s.Flush(), false
}

func ids(t *testing.T, pieces string) (ids []int32) {
	t.Helper()
	tok := letters(t)
	for p := range strings.SplitSeq(pieces, "|") {
		found := int32(-1)
		for id := range int32(tok.VocabSize()) {
			if tok.Piece(id) == p {
				found = id
			}
		}
		if found < 0 {
			t.Fatalf("no piece %q", p)
		}
		ids = append(ids, found)
	}
	return ids
}

func TestStopper(t *testing.T) {
	for _, c := range []struct {
		stops  []string
		pieces string
		text   string
		ended  bool
	}{
		{nil, "a|b|c", "abc", false},
		{[]string{""}, "a|b|c", "abc", false},
		{[]string{"abc"}, "a|b|c|d", "", true},
		{[]string{"bc"}, "ab|cd", "a", true},
		{[]string{"bc"}, "a|bcd", "a", true},
		{[]string{"bca"}, "a|b|c", "abc", false}, // held back, then given
		{[]string{"bca"}, "a|b|c|d", "abcd", false},
		{[]string{"aab"}, "a|a|a|b", "a", true}, // the overlap moves on
		{[]string{"abab"}, "ab|a|a|b|ab", "aba", true},
		{[]string{"bcd", "bc"}, "a|bcd", "a", true},
		{[]string{"abcd", "bc"}, "a|b|c|d", "a", true}, // bc is complete first
		{[]string{"abcd", "bc"}, "ab|cd", "a", true},   // also where both come at once
		{[]string{"bc", "abc"}, "a|bc", "", true},      // both complete: the longer
		{[]string{"é"}, "a|<0xC3>|b", "a\uFFFDb", false},
		{[]string{"é"}, "a|<0xC3>|<0xA9>|b", "a", true},
		{[]string{"\uFFFD"}, "a|<0xC3>", "a", false}, // only Flush knows: the text has ended anyway
	} {
		text, ended := stopped(t, c.stops, ids(t, c.pieces))
		if text != c.text || ended != c.ended {
			t.Errorf("%q in %s: got %q, %v; want %q, %v", c.stops, c.pieces, text, ended, c.text, c.ended)
		}
	}
}

// What comes in pieces is held back only as long as it may become a stop string.
func TestStopperHoldsNoMoreThanItMust(t *testing.T) {
	tok := letters(t)
	d := NewDecoder(tok)
	d.Push(ids(t, "d")[0])
	s := NewStopper(d, "bcd")
	got := ""
	for _, id := range ids(t, "a|b|ca|b|c|a") {
		text, _ := s.Push(id)
		got += text + "|"
	}
	if want := "a||bca|||bca|"; got != want {
		t.Errorf("given piece by piece %s, want %s", got, want)
	}
}
