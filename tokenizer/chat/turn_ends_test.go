package chat

import (
	"slices"
	"testing"
)

func TestTurnEnds(t *testing.T) {
	for _, c := range []struct {
		name, form, source string
		specials           []string
		want               []string
	}{
		{"ChatML", "chatml", "", marks, []string{"<|im_end|>"}},
		{"LLaMA 3", "llama3", "", headers, []string{"<|eot_id|>"}},
		{"LLaMA 2", "llama2", "", nil, []string{"</s>"}},
		{"Mistral", "mistral", "", nil, []string{"</s>"}},
		{"a token of its own", "", "{% for m in messages %}<|{{ m.role }}|>{{ m.content }} <|end|>\n{% endfor %}",
			[]string{"<|end|>"}, []string{"<|end|>"}},
		{"another in the middle", "", "{% for m in messages %}{{ m.content }}{{ eos_token if loop.last else '<|sep|>' }}{% endfor %}", []string{"<|sep|>"}, []string{"</s>", "<|sep|>"}},
		{"the first of two", "", "{% for m in messages %}{{ m.content }}<|end|>{{ eos_token }}{% endfor %}",
			[]string{"<|end|>"}, []string{"<|end|>"}},
		{"needs a system's message", "", "{% if messages[0].role != 'system' %}{{ raise_exception('no') }}{% endif %}{% for m in messages %}{{ m.content }}<|end|>{% endfor %}", []string{"<|end|>"}, []string{"<|end|>"}},
		{"none", "", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", nil, nil},
		{"something between", "", "{% for m in messages %}{{ m.content }}!<|end|>{% endfor %}", []string{"<|end|>"},
			nil},
		{"refuses all", "", "{{ raise_exception('no') }}", nil, nil},
	} {
		files := map[string]any{}
		if c.source != "" {
			files[JinjaFile] = c.source
		}
		dir, tok := folder(t, c.specials, files)
		template, err := Named(c.form, tok)
		if c.source != "" {
			template, err = Load(dir, tok)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, id := range template.TurnEnds() {
			got = append(got, tok.Piece(id))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
