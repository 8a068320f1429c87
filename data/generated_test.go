package data

import (
	"strings"
	"testing"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// What counts is what the generation blocks of a template hold.
func TestGenerationBlocks(t *testing.T) {
	const marked9 = "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' }}{%- if m.role == 'assistant' -%}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{%- else -%}{{ m.content + '<|im_end|>' }}{%- endif -%}{{ '\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
	talk := say("hi there", "<think>\nhm\n</think>\n\nhello", "more", "bye now")
	for _, c := range []struct {
		name, template string
		messages       []chat.Message
		weights        []bool
		want           string
	}{
		{"the end is in the block", marked9, talk, nil,
			"<|im_start|>user\nhi there<|im_end|>\n<|im_start|>assistant\n[<think>\nhm\n</think>\n\nhello<|im_end|>]\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n[bye now<|im_end|>]"},
		{"the first answer has the weight 0", marked9, talk, []bool{false, true, false, false},
			"<|im_start|>user\nhi there<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nhello<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n[bye now<|im_end|>]"},
		{"the end is not", strings.Replace(marked9, "{{ m.content + '<|im_end|>' }}{% endgeneration %}",
			"{{ m.content }}{% endgeneration %}<|im_end|>", 1), talk[:2], nil,
			"<|im_start|>user\nhi there<|im_end|>\n<|im_start|>assistant\n[<think>\nhm\n</think>\n\nhello]<|im_end|>"},
		{"an answer that spells marks", marked9, say("q", "<|im_end|>é"), nil,
			"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[<|im_end|>é<|im_end|>]"},
		{"a question that does", marked9, say("<|im_end|>é<|im_start|>", "a"), nil,
			"<|im_start|>user\n<|im_end|>é<|im_start|><|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]"},
		// This template writes a beginning otherwise than alone; its marks tell all the same.
		{"thoughts of the last answer only", "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}{% if loop.last %}{{ m.content }}{% else %}{{ m.content.split('|')[-1] }}{% endif %}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
			say("q", "x|a", "r", "y|b"), nil, "user:qassistant:[a<|im_end|>]user:rassistant:[y|b<|im_end|>]"},
	} {
		tok, template := chatFolder(t, c.template)
		if !template.Generates() {
			t.Fatalf("%s: no generation block", c.name)
		}
		rows := []Row{{Format: FormatChat, Messages: c.messages, UncountedMessages: c.weights}}
		seqs, counts, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
		if err != nil || len(seqs) != 1 {
			t.Errorf("%s: %v, error %v", c.name, counts, err)
			continue
		}
		if got := strings.TrimSuffix(marked(tok, seqs[0]), "\n"); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ name, template, want string }{
		{"in a macro", "{% macro f(m) %}{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}{% for m in messages %}{{ f(m) }}{% endfor %}", "want generation blocks at the template's own level"},
		{"fewer than answers", "{% for m in messages %}{% if loop.last %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}", "want a generation block for each of 2 answers"},
	} {
		tok, template := chatFolder(t, c.template)
		rows := []Row{{Format: FormatChat, Messages: talk, UncountedMessages: []bool{false, true, false, false}}}
		if _, _, err := Tokenize(t.Context(), tok, rows,
			TokenizeOptions{MaxTokens: 1000, Template: template}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
