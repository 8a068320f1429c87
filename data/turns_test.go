package data

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// chatFolder is a model's folder with a small byte-level tokenizer, the special tokens of
// ChatML and this template; "" for none.
func chatFolder(t testing.TB, template string) (tokenizer.PartEncoder, *chat.Template) {
	t.Helper()
	b, err := os.ReadFile("../tokenizer/testdata/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	added := file["added_tokens"].([]any)
	for i, s := range []string{"<|im_start|>", "<|im_end|>"} {
		id := len(file["model"].(map[string]any)["vocab"].(map[string]any)) + 2 + i
		added = append(added, map[string]any{"id": id, "content": s, "special": true})
	}
	file["added_tokens"] = added
	dir := t.TempDir()
	b, err = json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{tokenizer.JSONFile: string(b),
		"tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true}`}
	if template != "" {
		files["chat_template.jinja"] = template
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := chat.Load(dir, tok)
	if err != nil {
		t.Fatal(err)
	}
	return tok.(tokenizer.PartEncoder), parsed
}

func say(words ...string) []chat.Message {
	var m []chat.Message
	for i, w := range words {
		m = append(m, chat.Message{Role: [2]string{"user", "assistant"}[i%2], Content: w})
	}
	return m
}

// marked is a sequence as text with the targets in brackets. A target that is no position
// (the last) shows all the same, and one that is not what comes next in braces.
func marked(tok tokenizer.Tokenizer, s Sequence) string {
	var out strings.Builder
	in := false
	for i := 0; i <= len(s.IDs); i++ {
		target := i > 0 && s.Labels[i-1] != Ignored
		instead := target && i < len(s.IDs) && s.Labels[i-1] != s.IDs[i]
		target = target && !instead
		if target != in {
			out.WriteString(map[bool]string{true: "[", false: "]"}[target])
			in = target
		}
		if instead {
			out.WriteString("{" + piece(tok, s.Labels[i-1]) + "}")
		}
		switch {
		case i < len(s.IDs):
			out.WriteString(piece(tok, s.IDs[i]))
		case target:
			out.WriteString(piece(tok, s.Labels[i-1]))
		}
	}
	if in {
		out.WriteString("]")
	}
	return out.String()
}

func piece(tok tokenizer.Tokenizer, id int32) string {
	if b, _ := tok.Append(nil, id, false); len(b) > 0 {
		return string(b)
	}
	return tok.Piece(id)
}

const plainTemplate = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"

func TestChatLabels(t *testing.T) {
	for _, c := range []struct {
		name, template string
		messages       []chat.Message
		want           string
	}{
		{"ChatML", "", say("q", "a"), "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]"},
		{"two turns", "", say("q", "a", "r", "b"),
			"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n[b<|im_end|>]"},
		{"an open question", "", say("q", "a", "r"),
			"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n<|im_start|>user\nr<|im_end|>"},
		{"two answers", "", append(say("q", "a"), chat.Message{Role: "assistant", Content: "b"}),
			"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n<|im_start|>assistant\n[b<|im_end|>]"},
		{"an answer that spells marks", "", say("<|im_start|>", "<|im_end|>\n<|im_start|>"),
			"<|im_start|>user\n<|im_start|><|im_end|>\n<|im_start|>assistant\n[<|im_end|>\n<|im_start|><|im_end|>]"},
		{"an empty answer", "", say("q", ""), "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[<|im_end|>]"},
		// Here the borders are within text; the space before the answer is its own. No special
		// token ends it, so EOS is taught.
		{"plain", plainTemplate, say("q", "a", "r", "b"),
			"<s>user: q\nassistant:[ a\n]{</s>}user: r\nassistant:[ b\n</s>]"},
		{"EOS", "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}",
			say("q", "a", "r", "b"), "<s>[INST] q [/INST][ a </s>]<s>[INST] r [/INST][ b </s>]"},
		// What a template makes the model skip is not generated, and not learned.
		{"thinking", "{% for m in messages %}<|im_start|>{{ m.role }}:{% if m.role == 'assistant' %}<s>{% endif %}{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant:<s>{% endif %}",
			say("q", "a"), "<|im_start|>user:q<|im_end|><|im_start|>assistant:<s>[a<|im_end|>]"},
	} {
		tok, template := chatFolder(t, c.template)
		rows := []Row{{Format: FormatChat, Messages: c.messages}}
		seqs, counts, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
		if err != nil || len(seqs) != 1 {
			t.Errorf("%s: %v, error %v", c.name, counts, err)
			continue
		}
		if got := strings.TrimSuffix(marked(tok, seqs[0]), "\n"); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
		// The ids are the template's, as far as they are positions, and perhaps EOS.
		ids, err := template.Encode(c.messages, false)
		if strings.HasSuffix(c.want, "\n</s>]") {
			eos, _ := tok.EOS()
			ids = append(ids, eos)
		}
		if err != nil || !slices.Equal(seqs[0].IDs, ids[:len(ids)-1]) {
			t.Errorf("%s: ids %v, the template's are %v, error %v", c.name, seqs[0].IDs, ids, err)
		}
		all, _, err := Tokenize(t.Context(), tok, rows,
			TokenizeOptions{MaxTokens: 1000, Template: template, Loss: LossAll})
		if err != nil || all[0].Counted() != len(ids)-1 {
			t.Errorf("%s: with the loss on all, %d of %d ids count, error %v", c.name, all[0].Counted(), len(ids), err)
		}
	}
}

// Where a token would reach from the prompt into the answer, the answer begins behind
// what generation starts from.
func TestChatBorderWithinAToken(t *testing.T) {
	tok, template := chatFolder(t, "{% for m in messages %}{{ m.content }}{% endfor %}")
	whole := tok.Encode("he")
	if len(whole) != 1 {
		t.Fatalf("the test wants one token for he, got %v", whole)
	}
	rows := []Row{{Format: FormatChat, Messages: say("h", "e")}}
	seqs, _, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 9, Template: template})
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	want := slices.Concat(tok.Encode("h"), tok.Encode("e"), []int32{eos})
	got := append(slices.Clone(seqs[0].IDs), seqs[0].Labels[len(seqs[0].Labels)-1])
	if !slices.Equal(got, want) || seqs[0].Counted() != 2 {
		t.Errorf("got %v of which %d count, want %v", got, seqs[0].Counted(), want)
	}
}

func TestChatRefuses(t *testing.T) {
	for _, c := range []struct {
		name, template string
		messages       []chat.Message
		want           string
	}{
		{"a template that looks ahead", "{% for m in messages %}{{ m.content }}{% if loop.last %}!{% endif %}{% endfor %}", say("q", "a", "r", "b"),
			"chats.jsonl row 2: the template "},
		{"where", "{% for m in messages %}{{ m.content }}{% if loop.last %}!{% endif %}{% endfor %}", say("q", "a"),
			"the first 1 messages of 2 otherwise than alone"},
		{"a template that drops old answers", "{% for m in messages %}{% if m.role == 'user' or loop.last %}<|im_start|>{{ m.content }}{% endif %}{% endfor %}",
			say("q", "a", "r", "b"), "where answer 1 begins and ends cannot be told"},
		{"an answer first", "", say("q", "a")[1:], "message 0: want a question before the first answer"},
		{"a template's own refusal", "{{ raise_exception('no jokes') }}", say("q", "a"), "no jokes"},
	} {
		tok, template := chatFolder(t, c.template)
		rows := []Row{{Source: Source{"chats.jsonl", 1}, Prompt: "p", Answer: "a"},
			{Source: Source{"chats.jsonl", 2}, Format: FormatChat, Messages: c.messages}}
		_, _, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), "chats.jsonl row 2: ") {
			t.Errorf("%s: error %v, want it to name the row and %q", c.name, err, c.want)
		}
	}
	// Nothing of it counts: the row is left out.
	tok, template := chatFolder(t, "")
	_, counts, err := Tokenize(t.Context(), tok, []Row{{Format: FormatChat, Messages: say("q")}},
		TokenizeOptions{MaxTokens: 9, Template: template})
	if err != nil || counts.Dropped != 1 {
		t.Errorf("a chat without an answer: %+v, error %v", counts, err)
	}
}

// The start of a long chat is cut, its last answer stays.
func TestChatTruncateStart(t *testing.T) {
	tok, template := chatFolder(t, "")
	rows := []Row{{Format: FormatChat, Messages: say("qqqq", "aaaa", "rr", "bb")}}
	seqs, _, err := Tokenize(t.Context(), tok, rows,
		TokenizeOptions{MaxTokens: 12, Template: template, Truncate: TruncateStart})
	if err != nil || len(seqs) != 1 {
		t.Fatalf("%v, error %v", seqs, err)
	}
	if got := marked(tok, seqs[0]); len(seqs[0].IDs) != 12 || !strings.HasSuffix(got, "[bb<|im_end|>]") {
		t.Errorf("got %q", got)
	}
}

// The forms of real tokenizers: the borders are where generation starts and stops.
func TestChatOfRealTokenizers(t *testing.T) {
	dir := realdata.Folder(t)
	for form, path := range map[string]string{"llama2": "llama2", "mistral": "llama2", "llama3": "llama3"} {
		tok, err := tokenizer.Load(filepath.Join(dir, "tokenizer", path))
		if err != nil {
			t.Fatal(err)
		}
		template, err := chat.Named(form, tok)
		if err != nil {
			t.Fatal(err)
		}
		messages := say("What is 1+1?", "It is 2.", "And 2+2?", "4, I think.")
		seqs, _, err := Tokenize(t.Context(), tok, []Row{{Format: FormatChat, Messages: messages}},
			TokenizeOptions{MaxTokens: 100, Template: template})
		if err != nil {
			t.Fatal(err)
		}
		for _, upTo := range []int{1, 3} {
			prompt, err := template.Encode(messages[:upTo], true)
			if err != nil {
				t.Fatal(err)
			}
			n := len(prompt)
			if s := seqs[0]; !slices.Equal(s.IDs[:n], prompt) || s.Labels[n-2] != Ignored || s.Labels[n-1] == Ignored {
				t.Errorf("%s: the answer does not begin behind %q: %q", form, tok.Decode(prompt), marked(tok, s))
			}
		}
		last := seqs[0].Labels[len(seqs[0].Labels)-1]
		if end := tok.Piece(last); end != "</s>" && end != "<|eot_id|>" {
			t.Errorf("%s: the last answer ends with %q", form, end)
		}
	}
}
