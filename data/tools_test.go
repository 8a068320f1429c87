package data

import (
	"strings"
	"testing"

	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// calling writes tools, calls and thoughts, as templates of models that call tools do.
const calling = `{% if tools %}<|im_start|>system
{% for t in tools %}{{ t | tojson }}{% endfor %}<|im_end|>
{% endif %}{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>user
[{{ m.content }}]<|im_end|>
{% else %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{% if m.content is none %}none{% else %}{{ m.content }}{% endif %}{% for c in m.tool_calls %}{{ c.function.name }}={{ c.function.arguments | tojson }}{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

// What a template is given of tools and their calls, and what of it counts, in brackets.
func TestTools(t *testing.T) {
	const (
		q      = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
		called = q + `⟦nonef={"b": 1, "a": [null]}<|im_end|>⟧` + "\n<|im_start|>user\n[21]<|im_end|>\n" +
			"<|im_start|>assistant\n⟦It is 21.<|im_end|>⟧"
		call = `{"name": "f", "arguments": {"b": 1, "a": [null]}}`
	)
	for _, c := range []struct{ row, want string }{
		{`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1",
			"type": "function", "function": ` + call + `}]}, {"role": "tool", "tool_call_id": "1", "content": "21"},
			{"role": "assistant", "content": "It is 21.", "tool_calls": null}]}`, called},
		{`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [{"function": ` + call +
			`}]}, {"role": "tool", "content": [{"type": "text", "text": "21"}]}, {"role": "assistant",
			"content": "It is 21.", "tool_calls": []}], "tools": []}`, strings.Replace(called, "none", "", 1)},
		{`{"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": ` + quoted(call) +
			`}, {"from": "observation", "value": "21"}, {"from": "gpt", "value": "It is 21."}]}`, called},
		{`{"conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}`,
			q + "⟦a<|im_end|>⟧"},
		{`{"tools": [{"name": "f"}], "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}`,
			"<|im_start|>system\n" + `{"name": "f"}` + "<|im_end|>\n" + q + "⟦a<|im_end|>⟧"},
		{`{"tools": "[{\"name\": \"f\"}]", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}`,
			"<|im_start|>system\n" + `{"type": "function", "function": {"name": "f"}}` + "<|im_end|>\n" + q +
				"⟦a<|im_end|>⟧"},
		{`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "reasoning_content": "hm", "content": "a"}]}`,
			q + "⟦(hm)a<|im_end|>⟧"},
	} {
		tok, template := chatFolder(t, calling)
		learns(t, tok, template, c.row, ReadOptions{}, strings.NewReplacer("⟦", "[", "⟧", "]").Replace(c.want))
	}
}

// learns checks the text of a row's one sequence, and what of it counts.
func learns(t *testing.T, tok tokenizer.Tokenizer, template *chat.Template, row string, o ReadOptions, want string) {
	t.Helper()
	rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, o)
	if err != nil {
		t.Errorf("%s: %v", row, err)
		return
	}
	seqs, _, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
	if err != nil || len(seqs) != 1 {
		t.Errorf("%s: %d sequences, error %v", row, len(seqs), err)
		return
	}
	if got := strings.TrimSuffix(marked(tok, seqs[0]), "\n"); got != want {
		t.Errorf("%s:\ngot  %q\nwant %q", row, got, want)
	}
}

// What the template leaves out, and calls that are none, are errors that say so.
func TestToolsAreRefused(t *testing.T) {
	const plain = "{% for m in messages %}{% if m.role != 'developer' %}{{ m.role }}:{{ m.content }}<|im_end|>{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}assistant:{% endif %}"
	turns := `{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}`
	for _, c := range []struct{ template, row, want string }{
		{plain, `{"messages": [` + turns + `], "tools": [{"name": "f"}]}`, "want a template that writes the tools"},
		{plain, `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "thinking": "hm"}]}`,
			`want a template that writes "thinking" of messages`},
		{plain, `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": [{}]}]}`,
			`want a template that writes "tool_calls" of messages`},
		{plain, `{"messages": [{"role": "developer", "content": "a"}, ` + turns + `]}`,
			`leaves out message 0, of role "developer"`},
		{"", `{"messages": [` + turns + `], "tools": [{"name": "f"}]}`, "chatml: want a conversation without tools"},
		{"", `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "name": "n"}]}`,
			"chatml: message 1: want a role and a content, got name"},
		{calling, `{"messages": [{"role": "user", "content": "q", "tool_calls": [{}]}]}`,
			`"messages[0].tool_calls": want calls of the assistant, got them of role "user"`},
		{calling, `{"messages": [{"role": "assistant", "tool_calls": [1]}]}`,
			`"messages[0].tool_calls[0]": want an object, got a number`},
		{calling, `{"messages": [{"role": "user", "content": null}]}`, `messages[0]: want a string "content", got none`},
		{calling, `{"messages": [` + turns + `], "tools": "f"}`, `"tools": want a list of tools, or its JSON in a string`},
		{calling, `{"conversations": [{"from": "function_call", "value": "f(x)"}]}`,
			"conversations[0].value: want a call in JSON, with name and arguments"},
		{calling, `{"conversations": [{"from": "function_call", "value": "{\"name\": \"f\"}"}]}`, `got no "arguments"`},
		{calling, `{"messages": [{"role": "Tool", "content": "x"}]}`, `messages[0].role: want tool, got "Tool"`},
	} {
		tok, template := chatFolder(t, c.template)
		rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", c.row)}, ReadOptions{})
		if err == nil {
			_, _, err = Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("%s:\nerror %v\nwant  %s", c.row, err, c.want)
		}
	}
}
