package data

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/agora-ml/agora/tokenizer"
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
	add(`{"messages": [{"role": "user", "content": [{"type": "text", "text": "q", "x": {}}], "weight": 0}, {"role": "assistant", "content": "a", "name": "n"}], "system": "s", "id": 1}`)
	add(`{"instruction": "i", "output": "o", "text": "Below", "Input": "x", "history": []}` + "\n" +
		`{"instruction": "i", "output": "o", "weight": 1e0, "weight": 0}`)
	for _, rows := range formRows {
		for _, row := range rows {
			add(with(row, `, "tools": [1], "ID": "a\ud83d", "meta": {"a": 1, "\u0061": 2}, "weight": 0.5`))
		}
	}
	for _, c := range badRows {
		f.Add([]byte(c.content), uint8(1))
	}
	f.Fuzz(func(t *testing.T, content []byte, i uint8) {
		format := Formats()[int(i)%len(Formats())]
		number := 0
		var fields fieldCounts
		err := readRows(behindMark(bytes.NewReader(content)), rowReader{format: format, counts: &fields}, nil,
			func(r Row) error {
				number++
				if r.Source.Row != number || r.Format == FormatAuto || format != FormatAuto && r.Format != format {
					t.Errorf("row %d of %s is %+v", number, format, r)
				}
				if r.UncountedMessages != nil && len(r.UncountedMessages) != len(r.Messages) {
					t.Errorf("%d messages and %d weights", len(r.Messages), len(r.UncountedMessages))
				}
				if (len(r.Messages) > 0) != (r.Format == FormatChat) || !utf8.ValidString(r.Prompt+r.Answer+r.Text) {
					t.Errorf("a row of %s is %+v", r.Format, r)
				}
				return nil
			})
		if err == nil && number > len(content)/8 { // {"text":""} is the shortest
			t.Errorf("%d rows of %d bytes", number, len(content))
		}
		var r Row
		err = readDocument(behindMark(bytes.NewReader(content)), func(row Row) error { r = row; return nil })
		if err == nil && (!utf8.ValidString(r.Text) || len(r.Text) > len(content)) {
			t.Errorf("the document is %q", r.Text)
		}
	})
}

// No field is lost: each of a row that is read, or of a message in it, has one fate, and what
// is not used is empty, on the list, or was named.
func FuzzFields(f *testing.F) {
	for format, rows := range formRows {
		for _, row := range rows {
			for _, more := range []string{"", `, "id": {"a": 1}`, `, "none": [ ]`, `, "tools": [1]`, `, "Role": "x"`,
				`, "weight": 0`, `, "system": "s"`, `, "text": "t"`} {
				f.Add([]byte(with(row, more)), string(format), "tools")
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, format, ignore string) {
		if Format(format).form() == nil {
			format = string(FormatChat)
		}
		var counts fieldCounts
		r := rowReader{format: Format(format), ignore: []string{ignore}, counts: &counts}
		o, err := r.open(raw, "", "", 0)
		if err != nil {
			return
		}
		if _, err := r.parse(o); err != nil {
			return
		}
		fates := map[string][]Fate{}
		for _, c := range counts.all {
			fates[c.Name] = append(fates[c.Name], c.Fate)
		}
		for _, m := range o.members {
			fate := fates[m.Name]
			if len(fate) != 1 {
				t.Fatalf("%q of %q has the fates %q", m.Name, raw, fate)
			}
			hollow := isHollow(m.Value) || string(m.Value) == "null" || string(m.Value) == `""`
			ok := map[Fate]bool{
				FateUsed: slices.Contains(r.format.form().fields, m.Name) && m.Name != ignore,
				FateRepeats: m.Name == "text" && r.format == FormatAlpaca ||
					slices.Contains([]string{"prompt", "messages"}, m.Name) && r.format == FormatPreference,
				FatePassedOver: slices.Contains(harmless, m.Name), FateIgnored: m.Name == ignore, FateEmpty: hollow,
			}
			if !ok[fate[0]] {
				t.Fatalf("%q of %q is %s", m.Name, raw, fate[0])
			}
		}
	})
}

// Whatever a text spells, letters decode to it, and BOS and EOS that are parsed are those that
// stand there, or one of each around it.
func FuzzSpecialTokens(f *testing.F) {
	tok, _ := chatFolder(f, "")
	f.Add("<s>a</s>\n")
	f.Add("</s><s> <|im_start|><s")
	f.Add("\xff<s></s></s> \u00a0")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		row := []Row{{Format: FormatText, Text: text + "a"}, {Format: FormatText, Text: text}}
		for _, special := range []tokenizer.SpecialTokens{tokenizer.SpecialAsText, tokenizer.SpecialParse} {
			seqs, counts, err := Tokenize(t.Context(), tok, row,
				TokenizeOptions{MaxTokens: 1 << 20, SpecialTokens: special})
			if err != nil || len(seqs) == 0 {
				t.Fatalf("%d sequences, error %v", len(seqs), err)
			}
			for i, s := range seqs {
				ids := append(slices.Clone(s.IDs), s.Labels[len(s.Labels)-1])
				spelled := row[i].Text
				begins, ends := strings.HasPrefix(spelled, "<s>"),
					strings.HasSuffix(strings.TrimRightFunc(spelled, unicode.IsSpace), "</s>")
				want := strings.Count(spelled, "<s>") + strings.Count(spelled, "</s>") + 2
				if special == tokenizer.SpecialAsText {
					want = 2
				} else {
					if begins {
						want--
					}
					if ends {
						want--
					}
				}
				bos, _ := tok.BOS()
				eos, _ := tok.EOS()
				got := 0
				for _, id := range ids {
					if id == bos || id == eos {
						got++
					}
				}
				if ids[0] != bos || got != want || special == tokenizer.SpecialAsText && tok.Decode(ids) != spelled {
					t.Fatalf("%q as %s: %q has %d ends, want %d", spelled, special, tok.Decode(ids), got, want)
				}
			}
			if counts.Spelled.Rows%2 != 0 {
				t.Fatalf("%q: %+v", text, counts.Spelled)
			}
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
		seqs, _, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1 << 20, Template: template})
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
