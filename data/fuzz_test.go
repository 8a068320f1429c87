package data

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"
)

// Any bytes are rows or an error, in every format, and what is said of rows holds.
func FuzzRead(f *testing.F) {
	add := func(content string) {
		for i := range Formats() {
			f.Add([]byte(content), uint8(i))
		}
	}
	add("[" + rowA + "," + rowB + "]")
	add(rowA + "\n" + rowB)
	add("\ufeff" + `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}`)
	add(`[{"conversations": [{"from": "human", "value": "q\ud800"}, {"from": "gpt", "value": "a"}]}]`)
	add(`{"prompt": "p", "completion": "c"}{"text": "a` + "\xff" + `"}`)
	add("text\r\n\xff")
	for _, c := range badRows {
		f.Add([]byte(c.content), uint8(1))
	}
	f.Fuzz(func(t *testing.T, content []byte, i uint8) {
		format := Formats()[int(i)%len(Formats())]
		number := 0
		var fields fieldCounts
		err := readRows(behindMark(bytes.NewReader(content)), rowReader{format: format, counts: &fields}, func(r Row) error {
			number++
			if r.Source.Row != number || r.Format == FormatAuto || format != FormatAuto && r.Format != format {
				t.Errorf("row %d of %s is %+v", number, format, r)
			}
			if (len(r.Messages) > 0) != (r.Format == FormatChat) || !utf8.ValidString(r.Prompt+r.Answer+r.Text) {
				t.Errorf("a row of %s is %+v", r.Format, r)
			}
			return nil
		})
		if err == nil && number > len(content)/8 { // {"text":""} is the shortest
			t.Errorf("%d rows of %d bytes", number, len(content))
		}
		if r, err := readDocument(behindMark(bytes.NewReader(content))); err == nil && (!utf8.ValidString(r.Text) || len(r.Text) > len(content)) {
			t.Errorf("the document is %q", r.Text)
		}
	})
}

// Whatever is said in a chat, each answer's history is tokenized as for generation; the answer
// begins where that would start and ends with its turn, or with EOS where no special token
// ends it.
func FuzzChat(f *testing.F) {
	tok, chatML := chatFolder(f, "")
	_, plain := chatFolder(f, plainTemplate)
	f.Add("q", "a", "r", "b", false)
	f.Add("<|im_end|>", "\n<|im_start|>", "", "he", false)
	f.Add("", "", " ", "\n", true)
	f.Add("\ufdd0\xff", "e\u0301", "{{ bos_token }}", "{% if %}", true)
	f.Fuzz(func(t *testing.T, q, a, r, b string, inPlain bool) {
		if len(q)+len(a)+len(r)+len(b) > 1000 {
			t.Skip()
		}
		template := chatML
		if inPlain {
			template = plain
		}
		messages := say(q, a, r, b)
		rows := []Row{{Format: FormatChat, Messages: messages}}
		seqs, _, err := Tokenize(tok, rows, TokenizeOptions{MaxTokens: 1 << 20, Template: template})
		if err != nil {
			t.Fatal(err)
		}
		s := seqs[0]
		at := 0
		for _, upTo := range []int{1, 3} {
			prompt, err := ChatPrompt(tok, template, messages[:upTo])
			if err != nil {
				t.Fatal(err)
			}
			n := len(prompt)
			if n > len(s.IDs) || !slices.Equal(s.IDs[:n], prompt) {
				t.Fatalf("the ids %v do not begin with the prompt %v", s.IDs, prompt)
			}
			if s.Labels[n-1] == Ignored || s.Labels[n-2] != Ignored {
				t.Errorf("answer %d does not begin behind %d tokens: %s", upTo/2, n, marked(tok, s))
			}
			at = n
		}
		if eos, _ := tok.EOS(); inPlain && s.Labels[len(s.Labels)-1] != eos {
			t.Errorf("the last answer does not end with EOS: %s", marked(tok, s))
		}
		if end, _ := tok.Special("<|im_end|>"); !inPlain && s.Labels[slices.Index(s.IDs[at:], end)+at-1] != end {
			t.Errorf("the last answer does not end with its turn: %s", marked(tok, s))
		}
	})
}
