package data

import (
	"reflect"
	"strings"
	"testing"
)

// spell writes sequences of letters: ids, and behind a slash the labels, - for Ignored.
// 1 and 2 are < and >.
func spell(seqs []Sequence) string {
	letter := func(id int32) string {
		switch id {
		case Ignored:
			return "-"
		case 1:
			return "<"
		case 2:
			return ">"
		}
		return string(rune(id))
	}
	var all []string
	for _, s := range seqs {
		text := ""
		for _, id := range s.IDs {
			text += letter(id)
		}
		text += "/"
		for _, id := range s.Labels {
			text += letter(id)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestTruncate(t *testing.T) {
	prompt, text := Row{Prompt: "pqrs", Answer: "abc"}, Row{Format: FormatText, Text: "abcdef"}
	none := Counts{Rows: 1, Dropped: 1}
	for _, c := range []struct {
		row    Row
		bare   bool // no BOS, and of a text no EOS
		policy Truncate
		loss   Loss
		max    int
		want   string
		counts Counts
	}{
		{prompt, false, "", "", 8, "<pqrsabc/----abc>", Counts{1, 0, 0, 0, 0, 1, 8, 4, 0, Spelled{}}},
		{prompt, false, TruncateDrop, "", 8, "<pqrsabc/----abc>", Counts{1, 0, 0, 0, 0, 1, 8, 4, 0, Spelled{}}},
		{prompt, false, "", LossAll, 8, "<pqrsabc/pqrsabc>", Counts{1, 0, 0, 0, 0, 1, 8, 8, 0, Spelled{}}},
		{prompt, false, "", "", 6, "<pqrsa/----ab", Counts{1, 1, 0, 0, 2, 1, 6, 2, 0, Spelled{}}},
		{prompt, false, TruncateEnd, "", 5, "<pqrs/----a", Counts{1, 1, 0, 0, 3, 1, 5, 1, 0, Spelled{}}},
		{prompt, false, TruncateEnd, "", 4, "", none},
		{prompt, false, TruncateEnd, LossAll, 4, "<pqr/pqrs", Counts{1, 1, 0, 0, 4, 1, 4, 4, 0, Spelled{}}},
		{prompt, false, TruncateStart, "", 6, "<rsabc/--abc>", Counts{1, 1, 0, 0, 2, 1, 6, 4, 0, Spelled{}}},
		{prompt, false, TruncateStart, "", 4, "<abc/abc>", Counts{1, 1, 0, 0, 4, 1, 4, 4, 0, Spelled{}}},
		{prompt, false, TruncateStart, "", 2, "<a/ab", Counts{1, 1, 0, 0, 6, 1, 2, 2, 0, Spelled{}}},
		{prompt, false, TruncateStart, LossAll, 6, "<rsabc/rsabc>", Counts{1, 1, 0, 0, 2, 1, 6, 6, 0, Spelled{}}},
		{prompt, true, TruncateStart, "", 3, "sab/abc", Counts{1, 1, 0, 0, 4, 1, 3, 3, 0, Spelled{}}},
		{prompt, true, TruncateStart, "", 2, "sa/ab", Counts{1, 1, 0, 0, 5, 1, 2, 2, 0, Spelled{}}},
		{prompt, false, TruncateDrop, "", 7, "", none},
		{prompt, false, TruncateSplit, "", 6, "<pqrsa/----ab bc/c>", Counts{1, 0, 1, 0, 0, 2, 8, 4, 0, Spelled{}}},
		{prompt, false, TruncateSplit, "", 4, "sabc/abc>", Counts{1, 1, 0, 0, 4, 1, 4, 4, 0, Spelled{}}},
		{prompt, false, TruncateSplit, "", 2, "sa/ab bc/c>", Counts{1, 1, 1, 0, 4, 2, 4, 4, 0, Spelled{}}},
		{text, false, "", "", 3, "<ab/abc cde/def f/>", Counts{1, 0, 1, 0, 0, 3, 7, 7, 0, Spelled{}}},
		{text, false, TruncateEnd, "", 3, "<ab/abc", Counts{1, 1, 0, 0, 4, 1, 3, 3, 0, Spelled{}}},
		{text, false, TruncateStart, "", 3, "<ef/ef>", Counts{1, 1, 0, 0, 4, 1, 3, 3, 0, Spelled{}}},
		{text, true, TruncateStart, "", 3, "cde/def", Counts{1, 1, 0, 0, 2, 1, 3, 3, 0, Spelled{}}},
		{text, true, "", LossAll, 10, "abcde/bcdef", Counts{1, 0, 0, 0, 0, 1, 5, 5, 0, Spelled{}}},
		{Row{Format: FormatText}, false, "", "", 3, "", none},
	} {
		c.row.Source = Source{"file", 7}
		seqs, counts, err := Tokenize(t.Context(),
			letters{bare: c.bare, endless: c.bare && c.row.Format == FormatText}, []Row{c.row},
			TokenizeOptions{MaxTokens: c.max, Loss: c.loss, Truncate: c.policy})
		if got := spell(seqs); err != nil || got != c.want || counts != c.counts {
			t.Errorf("%+v: got %s and %+v, error %v", c, got, counts, err)
		}
		for _, s := range seqs {
			if s.Source != c.row.Source {
				t.Errorf("%+v: a sequence is from %v", c, s.Source)
			}
		}
	}
}

// No policy may lose the place of a label: each target is the token behind its position.
func TestLabelsAreTheNextTokens(t *testing.T) {
	row := Row{Prompt: "abcdefghijkl", Answer: "mnopqrstuvwxyz"}
	for _, policy := range []Truncate{TruncateEnd, TruncateStart, TruncateSplit} {
		for maxTokens := 1; maxTokens < 30; maxTokens++ {
			seqs, _, err := Tokenize(t.Context(), letters{}, []Row{row},
				TokenizeOptions{MaxTokens: maxTokens, Truncate: policy})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range seqs {
				if len(s.IDs) > maxTokens || len(s.Labels) != len(s.IDs) {
					t.Fatalf("%s, %d: %v", policy, maxTokens, s)
				}
				for i, l := range s.Labels {
					if i+1 < len(s.IDs) && l != Ignored && l != s.IDs[i+1] {
						t.Errorf("%s, %d: label %d of %s", policy, maxTokens, i, spell([]Sequence{s}))
					}
				}
			}
		}
	}
}

func TestTokenizeRefuses(t *testing.T) {
	chats := []Row{{Prompt: "a", Answer: "b"}, {Source: Source{"x.jsonl", 3}, Format: FormatChat}}
	for _, c := range []struct {
		o    TokenizeOptions
		rows []Row
		want string
	}{
		{TokenizeOptions{}, nil, "max-tokens 0: want at least 1"},
		{TokenizeOptions{MaxTokens: 1, Loss: "answer"}, nil, `loss "answer": want one of [answers all]`},
		{TokenizeOptions{MaxTokens: 1, Truncate: "left"}, nil, `truncate "left": want one of [end start drop split]`},
		{TokenizeOptions{MaxTokens: 9}, chats, "x.jsonl row 3: want a chat template"},
	} {
		if _, _, err := Tokenize(t.Context(), letters{}, c.rows, c.o); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.want)
		}
	}
	if seqs, counts, err := Tokenize(t.Context(), letters{}, nil, TokenizeOptions{MaxTokens: 1}); err != nil ||
		len(seqs) != 0 || !reflect.DeepEqual(counts, Counts{}) {
		t.Errorf("no rows: %v, %+v, error %v", seqs, counts, err)
	}
}
