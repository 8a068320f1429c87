package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/tokenizer"
)

type object = map[string]any

// folder is a model's folder with a small byte-level tokenizer that has these special
// tokens, and with these files.
func folder(t testing.TB, specials []string, files map[string]any) (string, tokenizer.PartEncoder) {
	t.Helper()
	b, err := os.ReadFile("../testdata/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	var file object
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	added := file["added_tokens"].([]any)
	for i, s := range specials {
		id := len(file["model"].(object)["vocab"].(object)) + 2 + i
		added = append(added, object{"id": id, "content": s, "special": true, "lstrip": s == "<pad>",
			"rstrip": s == "<pad>"})
	}
	file["added_tokens"] = added
	dir := t.TempDir()
	write := func(name string, content any) {
		text, ok := content.(string)
		if !ok {
			b, err := json.Marshal(content)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(tokenizer.JSONFile, file)
	if _, ok := files[tokenizer.ConfigFile]; !ok {
		write(tokenizer.ConfigFile, object{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true})
	}
	for name, content := range files {
		write(name, content)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, tok.(tokenizer.PartEncoder)
}

// spell writes parts so that special tokens can be told from text: «<s>».
func spell(parts []tokenizer.Part) string {
	var s strings.Builder
	for _, p := range parts {
		if p.Special {
			s.WriteString("«" + p.Text + "»")
		} else {
			s.WriteString(p.Text)
		}
	}
	return s.String()
}

func say(words ...string) []Message {
	var m []Message
	for i, w := range words {
		m = append(m, Message{Role: [2]string{"user", "assistant"}[i%2], Content: w})
	}
	return m
}

func withSystem(system string, m []Message) []Message {
	return append([]Message{{Role: "system", Content: system}}, m...)
}

var (
	headers = []string{"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}
	marks   = []string{"<|im_start|>", "<|im_end|>"}
)

func TestForms(t *testing.T) {
	for _, c := range []struct {
		form     string
		specials []string
		messages []Message
		answer   bool
		want     string
	}{
		{"llama3", headers, withSystem("Be brief.", say(" Hi\n")), true,
			"«<|begin_of_text|>»«<|start_header_id|>»system«<|end_header_id|>»\n\nBe brief.«<|eot_id|>»" +
				"«<|start_header_id|>»user«<|end_header_id|>»\n\nHi«<|eot_id|>»«<|start_header_id|>»assistant«<|end_header_id|>»\n\n"},
		{"llama3", headers, say("<|eot_id|>", "a"), false,
			"«<|begin_of_text|>»«<|start_header_id|>»user«<|end_header_id|>»\n\n<|eot_id|>«<|eot_id|>»" +
				"«<|start_header_id|>»assistant«<|end_header_id|>»\n\na«<|eot_id|>»"},
		{"chatml", marks, say(" q ", "<|im_end|>"), true,
			"«<|im_start|>»user\n q «<|im_end|>»\n«<|im_start|>»assistant\n<|im_end|>«<|im_end|>»\n«<|im_start|>»assistant\n"},
		{"llama2", nil, withSystem("S", say(" q ", "a", "r</s>")), true,
			"«<s>»[INST] <<SYS>>\nS\n<</SYS>>\n\n q [/INST] a «</s>»«<s>»[INST] r</s> [/INST]"},
		{"mistral", nil, withSystem("S", say("q", " a ", "r")), true,
			"«<s>»[INST] S\n\nq [/INST] a«</s>»[INST] r [/INST]"},
		{"mistral", []string{"[INST]", "[/INST]"}, withSystem("S", say("q", "a", "r")), true,
			"«<s>»«[INST]» q«[/INST]» a«</s>»«[INST]» S\n\nr«[/INST]»"},
		{"mistral", []string{"[INST]", "[/INST]"}, withSystem("S", say("[/INST]", "a")), false,
			"«<s>»«[INST]» S\n\n[/INST]«[/INST]» a«</s>»"},
	} {
		_, tok := folder(t, c.specials, nil)
		template, err := Named(c.form, tok)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := template.Parts(c.messages, c.answer)
		if got := spell(parts); err != nil || got != c.want {
			t.Errorf("%s:\ngot  %q, error %v\nwant %q", c.form, got, err, c.want)
		}
		ids, err := template.Encode(c.messages, c.answer)
		if want := tok.EncodeParts(parts); err != nil || !slices.Equal(ids, want) {
			t.Errorf("%s: got %v, error %v, want %v", c.form, ids, err, want)
		}
	}
}

// Templates of our own, with what those of real folders use, and what Jinja2 3.1.6 in
// the settings of transformers makes of them.
func TestJinja(t *testing.T) {
	conversation := withSystem("S", say(" <q> & 'é'\n", "a</think>b"))
	for _, c := range []struct{ name, source, want string }{
		{"tags leave no line", "{% if true %}\n  x\n  {% endif %}\ny\n", "  x\ny"},
		{"dashes eat spaces", "a \n {{- 'b' -}} \n c", "abc"},
		{"who says what", "{{ bos_token }}{% for m in messages %}{{ m['role'] + ':' + m.content | trim }}{{ eos_token if loop.last else '|' }}{% endfor %}",
			"«<s>»system:S|user:<q> & 'é'|assistant:a</think>b«</s>»"},
		{"slices and defaults", "{% set rest = messages[1:] %}{{ rest | length }}{{ tools is defined }}{{ tools | default('none') }}{{ messages[-1].role }}",
			"2TrueNoneassistant"},
		{"namespace", "{% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + loop.index0 %}{% endfor %}{{ ns.n }}", "3"},
		{"methods", "{{ messages[2].content.split('</think>')[-1].upper() }}{{ 'xax'.strip('x') }}{{ messages[0].content.startswith('S') }}", "BaTrue"},
		{"filters", "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ ['a', 'b'] | join('+') }}{{ messages[1].content | tojson }}",
			`1a+b" <q> & 'é'\n"`},
		{"tests and loops", "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content is string }}{% break %}{% endfor %}{% for i in range(3) %}{{ i }}{% endfor %}",
			"True012"},
		{"an answer is asked for", "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
			"«<|im_start|>»assistant\n"},
	} {
		dir, tok := folder(t, marks, map[string]any{JinjaFile: c.source})
		template, err := Load(dir, tok)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		parts, err := template.Parts(conversation, true)
		if got := spell(parts); err != nil || got != c.want {
			t.Errorf("%s:\ngot  %q, error %v\nwant %q", c.name, got, err, c.want)
		}
	}
}

// What users write stays text also behind a folder's own template, with every space
// and whatever characters it has.
func TestJinjaKeepsText(t *testing.T) {
	dir, tok := folder(t, append([]string{"<pad>"}, marks...), map[string]any{
		JinjaFile: "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}",
	})
	template, err := Load(dir, tok)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"<|im_end|>", "a <pad>  <|im_start|> <pad>\n b", "<s></s>", "\ufdd0<|im_end|>\ufdd1", "<|im_",
		"{{ bos_token }}{% raw %}", "é",
	} {
		parts, err := template.Parts([]Message{{Role: "user", Content: text}}, false)
		if got, want := spell(parts), "«<|im_start|>»"+text+"«<|im_end|>»"; err != nil || got != want {
			t.Errorf("%q:\ngot  %q, error %v\nwant %q", text, got, err, want)
		}
	}
}

func TestLoadChooses(t *testing.T) {
	config := func(template any) map[string]any {
		return map[string]any{tokenizer.ConfigFile: object{"bos_token": object{"content": "<s>"}, "eos_token": "</s>",
			"chat_template": template}}
	}
	both := config("config")
	both[JinjaFile] = "file"
	for _, c := range []struct {
		name     string
		specials []string
		files    map[string]any
		want     string // the template's name, its folder left out
		says     string
	}{
		{"in tokenizer_config.json", nil, config("{{ bos_token }}x"), "tokenizer_config.json: chat_template", "«<s>»x"},
		{"the default of a list", nil, config([]any{object{"name": "rag", "template": "r"},
			object{"name": "default", "template": "d"}}), "tokenizer_config.json: chat_template", "d"},
		{"in a file of its own", nil, both, "chat_template.jinja", "file"},
		{"by LLaMA 3's tokens", headers, nil, "llama3",
			"«<|begin_of_text|>»«<|start_header_id|>»user«<|end_header_id|>»\n\nq«<|eot_id|>»"},
		{"by ChatML's tokens", marks, nil, "chatml", "«<|im_start|>»user\nq«<|im_end|>»\n"},
	} {
		dir, tok := folder(t, c.specials, c.files)
		template, err := Load(dir, tok)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.TrimPrefix(template.Name(), dir+string(filepath.Separator)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		parts, err := template.Parts(say("q"), false)
		if got := spell(parts); err != nil || got != c.says {
			t.Errorf("%s: got %q, error %v, want %q", c.name, got, err, c.says)
		}
	}
}

func TestRefusals(t *testing.T) {
	file := func(source string) map[string]any { return map[string]any{JinjaFile: source} }
	for _, c := range []struct {
		name     string
		files    map[string]any
		messages []Message
		want     string
	}{
		{"no template", nil, say("q"), "tokenizer_config.json or chat_template.jinja, or special tokens that tell, got none; the forms chatml, llama2, llama3, mistral"},
		{"no messages", file("x"), nil, "chat_template.jinja: want messages, got none"},
		{"not Jinja", file("{% if %}"), say("q"), "chat_template.jinja: "},
		{"not ended", file("{% for m in messages %}"), say("q"), "chat_template.jinja: "},
		{"a macro without end", file("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), say("q"),
			"chat_template.jinja: line 1: limit of calls"},
		{"include", file("{% include '/etc/passwd' %}"), say("q"), "include"},
		{"import", file("{% import 'x' as y %}"), say("q"), "import"},
		{"extends", file("{% extends 'x' %}"), say("q"), "extends"},
		{"a loop without end", file("{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}"), say("q"),
			"limit of calls"},
		{"deep", file("{{ " + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300) + " }}"), say("q"),
			"limit of nesting: want at most 200 expressions within one another"},
		{"long", file(strings.Repeat("x", jinja.MaxSource+1)), say("q"),
			"chat_template.jinja: want at most 262144 bytes, got 262145"},
		{"range", file("{% for i in range(100000000000) %}{% endfor %}"), say("q"),
			"range: want at most 100000 numbers"},
		{"its own refusal", file("{{ raise_exception('no system, please') }}"), say("q"),
			"the template refuses the messages: no system, please"},
		{"unknown date", file("{{ strftime_now('%Q') }}"), say("q"), `strftime_now: want one of %a`},
		{"unknown filter", file("{{ 'x' | frobnicate }}"), say("q"), "frobnicate"},
		{"template of a wrong type", map[string]any{tokenizer.ConfigFile: object{"chat_template": 3}}, say("q"),
			"tokenizer_config.json: chat_template: want a string or a list"},
		{"no default", map[string]any{tokenizer.ConfigFile: object{"chat_template": []any{}}}, say("q"),
			"want a template named default among 0"},
	} {
		dir, tok := folder(t, nil, c.files)
		template, err := Load(dir, tok)
		if err == nil {
			_, err = template.Encode(c.messages, true)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s:\ngot  %v\nwant the folder and %q", c.name, err, c.want)
		}
	}
	_, tok := folder(t, nil, nil)
	if _, err := Named("alpaca", tok); err == nil ||
		!strings.Contains(err.Error(), `want a template named chatml, llama2, llama3, mistral, got "alpaca"`) {
		t.Errorf("unknown name: %v", err)
	}
	if _, err := Named("llama3", tok); err == nil ||
		!strings.Contains(err.Error(), "llama3: want the special token <|start_header_id|>") {
		t.Errorf("LLaMA 3's form without its tokens: %v", err)
	}
	llama2, err := Named("llama2", tok)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range [][]Message{{{Role: "system", Content: "S"}}, {{Role: "assistant", Content: "a"}}, append(say("q"), say("r")...)} {
		if _, err := llama2.Parts(m, true); err == nil || !strings.Contains(err.Error(), "llama2: ") {
			t.Errorf("%v: got error %v", m, err)
		}
	}
}

// LLaMA 3's own template, on its own tokenizer, is what the form of that name writes.
func TestLlama3Folder(t *testing.T) {
	data := realdata.Folder(t)
	dir := filepath.Join(data, "tokenizer/llama3")
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Load(dir, tok)
	if err != nil {
		t.Fatal(err)
	}
	named, err := Named("llama3", tok)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range [][]Message{say("Hello"), withSystem(" S ", say("<|eot_id|>\n", "a", "b"))} {
		for _, answer := range []bool{false, true} {
			got, err := own.Encode(m, answer)
			if err != nil {
				t.Fatal(err)
			}
			want, err := named.Encode(m, answer)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v:\nits template gives %v\nthe form gives    %v", m, got, want)
			}
		}
	}
	got, err := own.Encode(say("Hello"), true)
	want := []int32{128000, 128006, 882, 128007, 271, 9906, 128009, 128006, 78191, 128007, 271}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, error %v, want %v", got, err, want)
	}
}

// A template is told the time of its caller, and one that does not ask is the same always.
func TestTemplatesTime(t *testing.T) {
	dir, tok := folder(t, nil, map[string]any{JinjaFile: "{{ strftime_now('%d %b %Y') }}{{ messages[0].content }}"})
	template, err := Load(dir, tok)
	if err != nil {
		t.Fatal(err)
	}
	for date, want := range map[string]string{"2024-07-26": "26 Jul 2024q",
		"2025-01-01T23:30:00-05:00": "01 Jan 2025q"} {
		at, err := ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := template.At(at).Parts(say("q"), false); err != nil || spell(parts) != want {
			t.Errorf("%s: got %q, error %v, want %q", date, spell(parts), err, want)
		}
	}
	llama2, err := Named("llama2", tok)
	if err != nil || llama2.AsksTime() || llama2.At(time.Time{}) != llama2 || !template.AsksTime() {
		t.Errorf("asks for the time: llama2 %v, the folder's %v, error %v", llama2.AsksTime(), template.AsksTime(), err)
	}
	for _, date := range []string{"", "26 Jul 2024", "2024-07-32", "0000-01-01"} {
		if _, err := ParseDate(date); err == nil {
			t.Errorf("%q: no error", date)
		}
	}
}

// Special tokens that messages spell stay text whatever a template does with the text, and
// what prints a message writes its role first.
func TestJinjaKeepsTextWithin(t *testing.T) {
	for source, want := range map[string]string{
		"{{ messages[0] }}":                                                      "{'role': 'user', 'content': '<|im_end|>é'}",
		"{{ messages|tojson }}":                                                  `[{"role": "user", "content": "<|im_end|>é"}]`,
		"{{ messages|tojson(ensure_ascii=true) }}":                               `[{"role": "user", "content": "<|im_end|>\u00e9"}]`,
		"{{ '%r' % messages[0].content }}":                                       "'<|im_end|>é'",
		"{{ messages[0].content[::-1][::-1]|upper }}":                            "<|IM_END|>É",
		"{{ messages[0].content|length }}":                                       "11",
		"{{ messages[0].content }}<|im_end|>":                                    "<|im_end|>é«<|im_end|>»",
		"{{ messages[0].content|e }}":                                            "&lt;|im_end|&gt;é",
		"{% generation %}{{ messages[0].content }}<|im_end|>{% endgeneration %}": "<|im_end|>é«<|im_end|>»",
	} {
		dir, tok := folder(t, marks, map[string]any{JinjaFile: source})
		template, err := Load(dir, tok)
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := template.Parts([]Message{{Role: "user", Content: "<|im_end|>é"}}, false); err != nil || spell(parts) != want {
			t.Errorf("%s: got %q, error %v, want %q", source, spell(parts), err, want)
		}
	}
}

// Spans of generation blocks are places among the parts, behind text that is longer or
// shorter than what stood for it.
func TestGenerated(t *testing.T) {
	dir, tok := folder(t, append([]string{"<pad>"}, marks...), map[string]any{
		JinjaFile: "{% for m in messages %}{{ m.content }} <pad> |{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% endfor %}",
	})
	template, err := Load(dir, tok)
	if err != nil {
		t.Fatal(err)
	}
	parts, spans, err := template.Generated([]Message{{Role: "user", Content: "<|im_start|>é"}, {Role: "user", Content: "x"}}, false)
	if err != nil || !template.Generates() {
		t.Fatal(err)
	}
	if got, want := spell(parts), "<|im_start|>é«<pad>»|<|im_start|>é«<|im_end|>»x«<pad>»|x«<|im_end|>»"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	want := []Span{{Border{2, 1}, Border{4, 0}}, {Border{6, 1}, Border{8, 0}}}
	if !slices.Equal(spans, want) {
		t.Errorf("got %v, want %v", spans, want)
	}
}
