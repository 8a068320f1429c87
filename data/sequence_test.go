package data

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/tokenizer"
)

// letters is a tokenizer with one id a byte, BOS 1 and EOS 2.
type letters struct {
	tokenizer.Tokenizer
	bare    bool // without BOS
	endless bool // without EOS
}

func (letters) Encode(text string) []int32 {
	var ids []int32
	for i := range len(text) {
		ids = append(ids, int32(text[i]))
	}
	return ids
}
func (l letters) BOS() (int32, bool) { return 1, !l.bare }
func (l letters) EOS() (int32, bool) { return 2, !l.endless }

func TestTokenizeLabels(t *testing.T) {
	const no = Ignored
	row := []Row{{Prompt: "pq", Answer: "ab"}}
	for _, c := range []struct {
		name   string
		tok    tokenizer.Tokenizer
		maxLen int
		want   Sequence
	}{
		{"whole", letters{}, 100, Sequence{IDs: []int32{1, 'p', 'q', 'a', 'b'}, Labels: []int32{no, no, 'a', 'b', 2}}},
		{"just whole", letters{}, 5, Sequence{IDs: []int32{1, 'p', 'q', 'a', 'b'},
			Labels: []int32{no, no, 'a', 'b', 2}}},
		{"EOS cut", letters{}, 4, Sequence{IDs: []int32{1, 'p', 'q', 'a'}, Labels: []int32{no, no, 'a', 'b'}}},
		{"one token left", letters{}, 3, Sequence{IDs: []int32{1, 'p', 'q'}, Labels: []int32{no, no, 'a'}}},
		{"no BOS", letters{bare: true}, 100, Sequence{IDs: []int32{'p', 'q', 'a', 'b'},
			Labels: []int32{no, 'a', 'b', 2}}},
	} {
		got, counts, err := Tokenize(t.Context(), c.tok, row, TokenizeOptions{MaxTokens: c.maxLen})
		if err != nil || counts.Dropped != 0 || !reflect.DeepEqual(got, []Sequence{c.want}) {
			t.Errorf("%s: got %v, %+v, error %v, want %v", c.name, got, counts, err, c.want)
		}
	}
	if got := (Sequence{Labels: []int32{no, 0, 5}}).Counted(); got != 2 {
		t.Errorf("counted %d, want 2", got)
	}
}

// spaced is letters with a space in front of every text, as SentencePiece puts one, and one id for two
// bytes ";\n".
type spaced struct{ letters }

func (s spaced) Encode(text string) (ids []int32) {
	ids = append(ids, ' ')
	for len(text) > 0 {
		if strings.HasPrefix(text, ";\n") {
			ids, text = append(ids, 300), text[2:]
			continue
		}
		ids, text = append(ids, int32(text[0])), text[1:]
	}
	return ids
}

// An answer that begins with white space has the ids that it has behind its prompt, unless a token
// reaches over the border; any other is encoded by itself.
func TestAnswersBehindPrompts(t *testing.T) {
	for _, c := range []struct {
		prompt, answer string
		want           []int32 // behind BOS and the prompt's, before EOS
	}{
		{"p:", " ab", []int32{' ', 'a', 'b'}},
		{"p:", "\nab", []int32{'\n', 'a', 'b'}},
		{"p:", "\u00a0b", []int32{0xc2, 0xa0, 'b'}},
		{"p:", "ab", []int32{' ', 'a', 'b'}},
		{"p;", "\na", []int32{' ', '\n', 'a'}},
		{"", " a", []int32{' ', 'a'}},
	} {
		got, _, err := Tokenize(t.Context(), spaced{}, []Row{{Prompt: c.prompt, Answer: c.answer}},
			TokenizeOptions{MaxTokens: 100})
		if err != nil || len(got) != 1 {
			t.Fatalf("%q %q: %d sequences, error %v", c.prompt, c.answer, len(got), err)
		}
		prompt := append([]int32{1}, spaced{}.Encode(c.prompt)...)
		want := slices.Concat(prompt, c.want)
		if !slices.Equal(got[0].IDs, want) || got[0].Counted() != len(c.want)+1 {
			t.Errorf("%q %q: ids %v, %d counted, want %v, %d", c.prompt, c.answer, got[0].IDs, got[0].Counted(), want,
				len(c.want)+1)
		}
	}
}

func TestTokenizeDropsRowsWithoutAnswer(t *testing.T) {
	var rows []Row
	for i := range 100 {
		rows = append(rows, Row{Prompt: strings.Repeat("p", i), Answer: fmt.Sprint(i)})
	}
	seqs, counts, err := Tokenize(t.Context(), letters{}, rows, TokenizeOptions{MaxTokens: 40})
	if err != nil {
		t.Fatal(err)
	}
	// BOS and i letters leave room for a label while i+1 <= 40.
	if len(seqs) != 40 || counts.Dropped != 60 {
		t.Fatalf("kept %d, %+v", len(seqs), counts)
	}
	for i, s := range seqs {
		if s.Labels[i] != int32(fmt.Sprint(i)[0]) {
			t.Errorf("row %d: %v is not in its place", i, s)
		}
	}
	ten := TokenizeOptions{MaxTokens: 10}
	if seqs, counts, err := Tokenize(t.Context(), letters{bare: true}, []Row{{}}, ten); err != nil ||
		len(seqs) != 0 || counts.Dropped != 1 {
		t.Errorf("rows without a target: kept %v, %+v", seqs, counts)
	}
	// Nothing would end an answer; a text need not end.
	for _, format := range []Format{FormatAlpaca, FormatCompletion} {
		rows := []Row{{Source: Source{"f", 1}, Format: format, Prompt: "a", Answer: "b"}}
		for _, loss := range []Loss{LossAnswers, LossAll} {
			_, _, err := Tokenize(t.Context(), letters{endless: true}, rows, TokenizeOptions{MaxTokens: 10, Loss: loss})
			if want := "data: f row 1: want a token that ends an answer (EOS), got none in the tokenizer's files and in the model's (--eos-token)"; err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %s", format, err, want)
			}
		}
	}
	if seqs, _, err := Tokenize(t.Context(), letters{endless: true}, []Row{{Format: FormatText, Text: "ab"}},
		ten); err != nil || !reflect.DeepEqual(seqs[0].Labels, []int32{'a', 'b'}) {
		t.Errorf("a text: got %v, error %v", seqs, err)
	}
	if seqs, _, _ := Tokenize(t.Context(), letters{}, []Row{{Prompt: "a"}}, ten); len(seqs) != 1 ||
		seqs[0].Counted() != 1 {
		t.Errorf("an empty answer: got %v, want EOS to count", seqs)
	}
}
