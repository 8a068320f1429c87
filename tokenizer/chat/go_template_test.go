package chat

import (
	"strings"
	"testing"
	"text/template"

	"github.com/agora-ml/agora/tokenizer"
)

// Templates that write the same around each message of a role become Go's, and write what they wrote;
// others are refused.
func TestGoTemplate(t *testing.T) {
	for name, c := range map[string]struct {
		source, want string // want "": refused
	}{
		"chatml": {
			`{% for m in messages %}{{ '<|a|>' + m.role + '\n' + m.content + '<|b|>' + '\n' }}{% endfor %}` +
				`{% if add_generation_prompt %}{{ '<|a|>assistant\n' }}{% endif %}`,
			"{{ range .Messages }}{{ if eq .Role \"system\" }}<|a|>system\n{{ .Content }}<|b|>\n" +
				"{{ else if eq .Role \"user\" }}<|a|>user\n{{ .Content }}<|b|>\n" +
				"{{ else if eq .Role \"assistant\" }}<|a|>assistant\n{{ .Content }}<|b|>\n{{ end }}{{ end }}<|a|>assistant\n",
		},
		"a system's message of its own, BOS, and braces": {
			`{{ bos_token }}{% if messages[0].role != 'system' %}{{ 'be {{good}}|' }}{% endif %}` +
				`{% for m in messages %}{{ m.role[0] + '{{' + m.content | trim + '<|b|>' }}{% endfor %}` +
				`{% if add_generation_prompt %}{{ 'a{{' }}{% endif %}`,
			`{{ if ne (index .Messages 0).Role "system" }}{{ "be {{good}}|" }}{{ end }}{{ range .Messages }}` +
				`{{ if eq .Role "system" }}{{ "s{{" }}{{ .Content }}<|b|>{{ else if eq .Role "user" }}{{ "u{{" }}{{ .Content }}<|b|>` +
				`{{ else if eq .Role "assistant" }}{{ "a{{" }}{{ .Content }}<|b|>{{ end }}{{ end }}{{ "a{{" }}`,
		},
		"no place for a system's message": {
			`{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('none') }}{% endif %}` +
				`{{ m.role + ':' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}`,
			"{{ range .Messages }}{{ if eq .Role \"user\" }}user:{{ .Content }}\n{{ else if eq .Role \"assistant\" }}" +
				"assistant:{{ .Content }}\n{{ end }}{{ end }}assistant:",
		},
		"the system's message inside the first question": {
			`{% for m in messages %}{% if m.role == 'system' %}{% elif m.role == 'user' %}` +
				`{{ 'U' }}{% if messages[0].role == 'system' and loop.index0 == 1 %}{{ messages[0].content + '/' }}{% endif %}` +
				`{{ m.content }}{% else %}{{ 'A' + m.content }}{% endif %}{% endfor %}`, "",
		},
		"other text around the last message": {
			`{% for m in messages %}{{ m.role + (':' if loop.last else ';') + m.content + '.' }}{% endfor %}` +
				`{% if add_generation_prompt %}{{ '!' }}{% endif %}`, "",
		},
		"other text from the third turn on": {
			`{% for m in messages %}{{ m.role + (':' if loop.index < 4 else ';') + m.content + '.' }}{% endfor %}` +
				`{% if add_generation_prompt %}{{ '!' }}{% endif %}`, "",
		},
	} {
		dir, tok := folder(t, []string{"<|a|>", "<|b|>"}, map[string]any{JinjaFile: c.source})
		own, err := Load(dir, tok)
		if err != nil {
			t.Fatal(err)
		}
		got, err := own.GoTemplate("<s>")
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: error %v, got\n%s\nwant\n%s", name, err, got, c.want)
		}
	}
}

// The forms that are known by name, as far as they are of that kind.
func TestGoTemplateOfForms(t *testing.T) {
	_, tok := folder(t, []string{"<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
		"<|begin_of_text|>"}, nil)
	for name, bos := range map[string]string{"chatml": "<s>", "llama3": "<|begin_of_text|>"} {
		form, err := Named(name, tok.(tokenizer.Tokenizer))
		if err != nil {
			t.Fatal(err)
		}
		text, err := form.GoTemplate(bos)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := template.New("").Parse(text); err != nil || strings.Contains(text, bos) {
			t.Errorf("%s: %q, error %v", name, text, err)
		}
	}
	for _, name := range []string{"llama2", "mistral"} {
		form, err := Named(name, tok.(tokenizer.Tokenizer))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := form.GoTemplate("<s>"); err == nil {
			t.Errorf("%s has the system's message inside a question, and became %q", name, text)
		}
	}
}
