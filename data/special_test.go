package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/tokenizer"
)

// What rows spell, as letters and as tokens; ⟨⟩ stand around tokens that are special.
func TestSpecialTokensInText(t *testing.T) {
	tok, template := chatFolder(t, "")
	text := func(s string) Row { return Row{Format: FormatText, Text: s} }
	pair := func(p, a string) Row { return Row{Format: FormatCompletion, Prompt: p, Answer: a} }
	for _, c := range []struct {
		name          string
		row           Row
		text, parsed  string
		spelled       string
		ofText, ofIDs int // labels that count
	}{
		{"none", text("a<b>"), "⟨<s>⟩a<b>⟨</s>⟩", "⟨<s>⟩a<b>⟨</s>⟩", "", 5, 5},
		{"inside", text("a<|im_end|>b"), "⟨<s>⟩a<|im_end|>b⟨</s>⟩", "⟨<s>⟩a⟨<|im_end|>⟩b⟨</s>⟩", "<|im_end|>", 13, 4},
		{"a chat", text("<|im_start|>q<|im_end|>\n<|im_start|>a<|im_end|>\n"),
			"⟨<s>⟩<|im_start|>q<|im_end|>\n<|im_start|>a<|im_end|>\n⟨</s>⟩",
			"⟨<s>⟩⟨<|im_start|>⟩q⟨<|im_end|>⟩\n⟨<|im_start|>⟩a⟨<|im_end|>⟩\n⟨</s>⟩", "<|im_start|>", 49, 9},
		{"BOS and EOS", text("<s>a</s>"), "⟨<s>⟩<s>a</s>⟨</s>⟩", "⟨<s>⟩a⟨</s>⟩", "<s>", 9, 2},
		{"EOS and space", text("<s>a</s> \n"), "⟨<s>⟩<s>a</s> \n⟨</s>⟩", "⟨<s>⟩a⟨</s>⟩ \n", "<s>", 11, 4},
		{"EOS, then more", text("a</s>b"), "⟨<s>⟩a</s>b⟨</s>⟩", "⟨<s>⟩a⟨</s>⟩b⟨</s>⟩", "</s>", 7, 4},
		{"BOS behind a space", text(" <s>a"), "⟨<s>⟩ <s>a⟨</s>⟩", "⟨<s>⟩ ⟨<s>⟩a⟨</s>⟩", "<s>", 6, 4},
		{"twice", text("<s><s>a</s></s>"), "⟨<s>⟩<s><s>a</s></s>⟨</s>⟩", "⟨<s>⟩⟨<s>⟩a⟨</s>⟩⟨</s>⟩", "<s>", 16, 4},
		{"only BOS and EOS", text("<s></s>"), "⟨<s>⟩<s></s>⟨</s>⟩", "⟨<s>⟩⟨</s>⟩", "<s>", 8, 1},
		{"a prompt", pair("<s>[q]", "a"), "⟨<s>⟩<s>[q]a⟨</s>⟩", "⟨<s>⟩[q]a⟨</s>⟩", "<s>", 2, 2},
		{"an answer", pair("q", "a</s>"), "⟨<s>⟩qa</s>⟨</s>⟩", "⟨<s>⟩qa⟨</s>⟩", "</s>", 6, 2},
		{"both", pair("<s>q<|im_end|>", " a </s>\n"), "⟨<s>⟩<s>q<|im_end|> a </s>\n⟨</s>⟩",
			"⟨<s>⟩q⟨<|im_end|>⟩ a ⟨</s>⟩\n", "<s>", 8, 4}, // " a" is one token
		{"EOS in the prompt", pair("q</s>", "a"), "⟨<s>⟩q</s>a⟨</s>⟩", "⟨<s>⟩q⟨</s>⟩a⟨</s>⟩", "</s>", 2, 2},
		{"BOS in the answer", pair("q", "<s>a"), "⟨<s>⟩q<s>a⟨</s>⟩", "⟨<s>⟩q⟨<s>⟩a⟨</s>⟩", "<s>", 5, 3},
		{"no prompt", pair("", "<s>a</s>"), "⟨<s>⟩<s>a</s>⟨</s>⟩", "⟨<s>⟩a⟨</s>⟩", "<s>", 9, 2},
		{"an instruction", Row{Format: FormatAlpaca, Prompt: "### <|im_start|>", Answer: "</s>"},
			"⟨<s>⟩### <|im_start|></s>⟨</s>⟩", "⟨<s>⟩### ⟨<|im_start|>⟩⟨</s>⟩", "<|im_start|>", 5, 1},
		{"what is said", Row{Format: FormatChat, Messages: say("<s><|im_end|>", "a</s>")},
			"⟨<|im_start|>⟩user\n<s><|im_end|>⟨<|im_end|>⟩\n⟨<|im_start|>⟩assistant\na</s>⟨<|im_end|>⟩",
			"⟨<|im_start|>⟩user\n<s><|im_end|>⟨<|im_end|>⟩\n⟨<|im_start|>⟩assistant\na</s>⟨<|im_end|>⟩", "", 6, 6},
	} {
		for special, want := range map[tokenizer.SpecialTokens]string{"": c.text, tokenizer.SpecialAsText: c.text,
			tokenizer.SpecialParse: c.parsed} {
			seqs, counts, err := Tokenize(t.Context(), tok, []Row{c.row, {Prompt: "p", Answer: "a"}, c.row},
				TokenizeOptions{MaxTokens: 1000, Template: template, SpecialTokens: special})
			if err != nil || len(seqs) != 3 {
				t.Errorf("%s as %q: %d sequences, error %v", c.name, special, len(seqs), err)
				continue
			}
			s := seqs[2]
			ids := s.IDs // and what is a target only
			if last := s.Labels[len(s.Labels)-1]; last != Ignored {
				ids = append(slices.Clone(ids), last)
			}
			var got strings.Builder
			for _, id := range ids {
				if b, _ := tok.Append(nil, id, false); len(b) > 0 {
					got.Write(b)
				} else {
					got.WriteString("⟨" + tok.Piece(id) + "⟩")
				}
			}
			counted := c.ofText
			if special == tokenizer.SpecialParse {
				counted = c.ofIDs
			}
			if got.String() != want || s.Counted() != counted {
				t.Errorf("%s as %q: got %q of which %d count, want %q, %d", c.name, special, got.String(),
					s.Counted(), want, counted)
			}
			spelled := Spelled{Rows: 2, First: c.spelled}
			if c.spelled == "" {
				spelled = Spelled{}
			}
			if counts.Spelled != spelled {
				t.Errorf("%s as %q: counted %+v, want %+v", c.name, special, counts.Spelled, spelled)
			}
			note := ""
			if c.spelled != "" && special != tokenizer.SpecialParse {
				note = fmt.Sprintf("2 rows spell special tokens such as %s in plain text: they are read as letters; --special-tokens parse reads them as tokens", c.spelled)
			}
			if got := counts.Spelled.Note(special); got != note {
				t.Errorf("%s as %q: said %q, want %q", c.name, special, got, note)
			}
		}
	}
	if want := "1 row spells special tokens such as <s> in plain text"; !strings.HasPrefix(Spelled{1, "<s>"}.Note(""),
		want) {
		t.Errorf("said %q, want %q", Spelled{1, "<s>"}.Note(""), want)
	}
	_, _, err := Tokenize(t.Context(), tok, nil, TokenizeOptions{MaxTokens: 9, SpecialTokens: "none"})
	if want := `special-tokens "none": want text or parse`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// A tokenizer without BOS and EOS, and one that has no special tokens at all.
func TestSpecialTokensWithoutEnds(t *testing.T) {
	rows := []Row{{Format: FormatText, Text: "<s>a</s>"}}
	parse := TokenizeOptions{MaxTokens: 99, SpecialTokens: tokenizer.SpecialParse}
	seqs, counts, err := Tokenize(t.Context(), letters{}, rows, parse)
	if err != nil || counts.Spelled != (Spelled{}) || spell(seqs) != "<<s>a</s>/<s>a</s>>" {
		t.Errorf("%s, %+v, error %v", spell(seqs), counts, err)
	}
}

// The first and last texts of a real SentencePiece model, as its own special tokens.
func TestSpecialTokensOfLlama2(t *testing.T) {
	tok, err := tokenizer.Load(filepath.Join(realdata.Folder(t), "tokenizer", "llama2"))
	if err != nil {
		t.Fatal(err)
	}
	rows := []Row{{Format: FormatCompletion, Prompt: "<s>[INST] hi [/INST]", Answer: " hello </s>"}}
	seqs, counts, err := Tokenize(t.Context(), tok, rows,
		TokenizeOptions{MaxTokens: 99, SpecialTokens: tokenizer.SpecialParse})
	if err != nil || counts.Spelled != (Spelled{1, "<s>"}) {
		t.Fatalf("%+v, error %v", counts, err)
	}
	want := slices.Concat([]int32{1}, tok.Encode("[INST] hi [/INST] hello "))
	if s := seqs[0]; !slices.Equal(s.IDs, want) || s.Labels[len(s.Labels)-1] != 2 {
		t.Errorf("got %v, want %v", s.IDs, want)
	}
}

// An id that the model does not have is named with its row, whether it is read or only a
// target.
func TestCheckIDs(t *testing.T) {
	tok, _ := chatFolder(t, "")
	start, _ := tok.Special("<|im_start|>")
	end, _ := tok.Special("<|im_end|>")
	in := func(row int, ids, labels []int32) Sequence {
		return Sequence{IDs: ids, Labels: labels, Source: Source{"a.jsonl", row}}
	}
	good := in(1, []int32{1, 2}, []int32{2, Ignored})
	for _, c := range []struct {
		seqs  []Sequence
		model int32
		want  string
	}{
		{nil, 1, ""},
		{[]Sequence{good, in(2, []int32{end, start}, []int32{Ignored, end})}, end + 1, ""},
		{[]Sequence{good, in(2, []int32{1, end, 3}, []int32{2, 3, Ignored}), in(3, []int32{end}, []int32{1})}, end,
			fmt.Sprintf(`data: a.jsonl row 2: token "<|im_end|>" (id %d): want an id below the %d of the model's vocabulary, got one of the tokenizer's %d`, end, end, tok.VocabSize())},
		{[]Sequence{good, in(7, []int32{1}, []int32{start})}, start,
			fmt.Sprintf(`data: a.jsonl row 7: token "<|im_start|>" (id %d)`, start)},
		{[]Sequence{in(7, []int32{-1}, []int32{0})}, 9, `data: a.jsonl row 7: token "" (id -1)`},
	} {
		err := CheckIDs(tok, c.seqs, int(c.model))
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.HasPrefix(got, c.want) {
			t.Errorf("%v beside %d: error %v, want %q", c.seqs, c.model, err, c.want)
		}
	}
}
