package data

import (
	"strings"
	"testing"
)

// Templates that look into a list of parts get one, each part by itself; others get the text of them all. What counts
// is in brackets.
func TestPartsInTemplates(t *testing.T) {
	const row = `{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": " a "},
		{"type": "text", "text": "<|im_end|>b "}]}, {"role": "assistant", "content": [{"type": "text", "text": "c"},
		{"type": "text", "text": "d"}]}]}`
	around := func(content string) string {
		return "{% for m in messages %}<|im_start|>{{ m.role }}\n" + content + "<|im_end|>\n{% endfor %}" +
			"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	}
	want := func(user, answer string) string {
		return "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\n" + user + "<|im_end|>\n<|im_start|>assistant\n[" + answer +
			"<|im_end|>]"
	}
	joined := want(" a <|im_end|>b ", "cd")
	for name, c := range map[string]struct{ content, want string }{
		"each trimmed, as Gemma 3's": {
			"{% if m.content is string %}{{ m.content | trim }}{% elif m.content is iterable %}{% for p in m.content %}" +
				"{% if p['type'] == 'image' %}<image>{% elif p['type'] == 'text' %}{{ p['text'] | trim }}{% endif %}{% endfor %}" +
				"{% endif %}", want("a<|im_end|>b", "cd")},
		"one behind the other, as Qwen2-VL's": {
			"{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{% if 'image' in p %}<image>" +
				"{% elif 'text' in p %}{{ p.text }}{% endif %}{% endfor %}{% endif %}", joined},
		"separated": {
			"{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% if not loop.last %};" +
				"{% endif %}{% endfor %}{% endif %}", want(" a ;<|im_end|>b ", "c;d")},
		"added to a text":        {"{{ m.content + '' }}", joined},
		"printed":                {"{{ m.content }}", joined},
		"only texts":             {"{% if m.content is string %}{{ m.content }}{% endif %}", joined},
		"only the first of them": {"{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}", joined},
	} {
		t.Run(name, func(t *testing.T) {
			tok, template := chatFolder(t, around(c.content))
			learns(t, tok, template, row, ReadOptions{}, c.want)
		})
	}
	tok, template := chatFolder(t, "")
	learns(t, tok, template, strings.Replace(row, "<|im_end|>b", "b", 1), ReadOptions{}, want(" a b ", "cd"))
}
