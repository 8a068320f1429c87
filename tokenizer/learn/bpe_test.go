package learn

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/tokenizer"
)

func learned(t *testing.T, o Options, texts ...string) tokenizer.Vocabulary {
	t.Helper()
	v, err := BPE(slices.Values(texts), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The merges of a small text, by hand. Words: ▁low 5, ▁lower 2, ▁newest 6, ▁widest 3 (the example
// of Sennrich et al., with the space in front of a word in place of a mark behind it).
func TestMergesByHand(t *testing.T) {
	text := strings.TrimSpace(strings.Repeat("low ", 5) + strings.Repeat("lower ", 2) + strings.Repeat("newest ", 6) +
		strings.Repeat("widest ", 3))
	v := learned(t, Options{Vocabulary: 259 + 11 + 9, Coverage: 1}, text)
	// es and st 9 times: es is the first in order; est 9; lo, ow, ▁l 7: lo; low, ▁low; of newest's
	// ew and ne, 6 times: ew; …
	want := []string{"es", "est", "lo", "low", "▁low", "ew", "new", "newest", "▁newest"}
	if got := v.Pieces[259 : 259+9]; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	characters := slices.Clone(v.Pieces[259+9:])
	slices.Sort(characters)
	if strings.Join(characters, "") != "deilnorstw▁" {
		t.Errorf("characters %q", characters)
	}
}

func TestPiecesKeepToTheirKind(t *testing.T) {
	text := strings.Repeat("it's 1234, that's 1234! Это это\nнет нет 日本 日本ab ab\tx ", 50)
	v := learned(t, Options{Vocabulary: 300}, text)
	for i, p := range v.Pieces {
		if v.Types[i] != normal {
			continue
		}
		inner := strings.TrimPrefix(p, spaceSymbol)
		digits, latin, other := 0, 0, 0
		for _, r := range inner {
			switch {
			case '0' <= r && r <= '9':
				digits++
			case 'a' <= r && r <= 'z':
				latin++
			default:
				other++
			}
		}
		if digits > 1 || digits > 0 && latin+other > 0 || latin > 0 && other > 0 || strings.ContainsAny(p, "\n\t ") ||
			strings.Contains(inner, spaceSymbol) {
			t.Errorf("piece %q", p)
		}
	}
	for _, want := range []string{"▁it", "▁Это", "ab", "▁日本"} {
		if !slices.Contains(v.Pieces, want) {
			t.Errorf("no piece %q in %q", want, v.Pieces[259:])
		}
	}
}

// What is written is read as a SentencePiece model, and every text comes back.
func TestSaveAndRoundTrip(t *testing.T) {
	text := slices.Repeat([]string{"Once upon a time, there was a little dog.\nIt was 12 years old!"}, 20)
	v := learned(t, Options{Vocabulary: 323}, text...)
	if len(v.Pieces) != 323 {
		t.Errorf("%d pieces", len(v.Pieces))
	}
	path := filepath.Join(t.TempDir(), "tokenizer.model")
	if err := v.Save(path); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Once upon a time", "  two  spaces ", "日本 and é\n\tx", "1234567", "", "▁"} {
		if got := tok.Decode(tok.Encode(s)); got != strings.ReplaceAll(s, "▁", " ") {
			t.Errorf("%q came back as %q", s, got)
		}
	}
	if n := len(tok.Encode("Once upon a time")); n != 4 {
		t.Errorf("%d tokens, want a word each", n)
	}
	again := learned(t, Options{Vocabulary: 323}, text...)
	if !slices.Equal(again.Pieces, v.Pieces) {
		t.Error("the same text has given another vocabulary")
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		o    Options
		text string
		want string
	}{
		{Options{Vocabulary: 300}, "", "want text to learn from, got none"},
		{Options{Vocabulary: 261}, "abc", "a vocabulary of 261 pieces: want at least 263, for 3 controls, 256 bytes and 4 characters"},
		{Options{Vocabulary: 300}, "ab ab", "a vocabulary of 300 pieces: want at most 264, or more text"},
		{Options{Vocabulary: 300, Coverage: 2}, "abc", "coverage 2: want above 0, at most 1"},
		{Options{Vocabulary: 300, MaxPiece: -1}, "abc", "pieces of at most -1 characters"},
	} {
		if _, err := BPE(slices.Values([]string{c.text}), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.o, err, c.want)
		}
	}
}
