package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
)

// byRegexp are the words that a general engine finds.
func byRegexp(t testing.TB, source, text string) []string {
	t.Helper()
	p := pattern{regex: regexp2.MustCompile(source, regexp2.None)}
	var words []string
	p.each(text, func(from, to int) { words = append(words, text[from:to]) })
	return words
}

func byHand(source, text string) []string {
	p := pattern{word: knownPatterns[source]}
	var words []string
	p.each(text, func(from, to int) { words = append(words, text[from:to]) })
	return words
}

// The splitters by hand are the patterns.
func TestSplitters(t *testing.T) {
	letters := strings.Split("a|B|é|ß|日|ʰ|́|1|²|Ⅷ|٣| |  |\t|\n|\r|\r\n|\u00a0|\u2003|\u2028|\u0085|.|!|_|'|'s|'S|'re|'LL|'d|'ve|'m|'t|🦙|\u200b|\x00|\u180e|ª", "|")
	r := rand.New(rand.NewPCG(5, 6))
	for source := range knownPatterns {
		for range 3000 {
			text := ""
			for range r.IntN(12) {
				text += letters[r.IntN(len(letters))]
			}
			if got, want := byHand(source, text), byRegexp(t, source, text); !slices.Equal(got, want) {
				t.Fatalf("%s\n%q:\ngot  %q\nwant %q", source, text, got, want)
			}
		}
	}
	// The engine does not fold ſ, HF's and OpenAI's do.
	if got := byHand(llama3Pattern, "it'ſx"); !slices.Equal(got, []string{"it", "'ſ", "x"}) {
		t.Errorf("ſ: got %q", got)
	}
}

func TestPatternReplace(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{`{"String": "aa"}`, "aaab", "xab"},
		{`{"Regex": " +"}`, "é  é ", "éxéx"},
		{`{"Regex": "(?=é)|b"}`, "éb", "éx"},
		{`{"String": "."}`, "a.é", "axé"},
	} {
		p, err := readPattern(json.RawMessage(c.pattern), "pattern")
		if err != nil {
			t.Fatal(err)
		}
		if got := p.replaceAll(c.text, "x"); got != c.want {
			t.Errorf("%s in %q: got %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	text := strings.Repeat("It's a tokenizer's job: 12345 words, cut.\n  Again ", 1000)
	b.Run("by hand", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			byHand(llama3Pattern, text)
		}
	})
	b.Run("by regexp2", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			byRegexp(b, llama3Pattern, text)
		}
	})
}
