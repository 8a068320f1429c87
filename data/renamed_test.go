package data

import (
	"strings"
	"testing"
)

// Rows with other names for our fields, and rows of two parts that are messages: what counts, in brackets.
func TestRenamedFields(t *testing.T) {
	const q = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
	for _, c := range []struct{ fields, row, want string }{
		{"prompt=question,completion=answer", `{"question": "q", "answer": "a"}`, "<s>q[a</s>]"},
		{"prompt=completion,completion=prompt", `{"completion": "q", "prompt": "a"}`, "<s>q[a</s>]"},
		{"instruction=instruction,input=context,output=response",
			`{"instruction": "i", "context": "", "response": "r"}`,
			"<s>Below is an instruction that describes a task. Write a response that appropriately completes the " +
				"request.\n\n### Instruction:\ni\n\n### Response:[r</s>]"},
		{"messages=dialog,role=who,content=says", `{"dialog": [{"who": "user", "says": "q"}, {"who": "assistant", "says": "a"}]}`,
			q + "[a<|im_end|>]"},
		{"", `{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}`,
			q + "[a<|im_end|>]"},
		{"", `{"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user",
			"content": "q"}], "completion": [{"role": "assistant", "content": "b"}]}`,
			q + "a<|im_end|>\n" + q + "[b<|im_end|>]"},
		{"", `{"system": "S", "history": [["q1", "a1"], ["q2", "a2"]], "instruction": "i", "output": "o"}`,
			"<s>S\n\n### Instruction:\nq1\n\n### Response:\na1\n\n### Instruction:\nq2\n\n### Response:\na2\n\n" +
				"### Instruction:\ni\n\n### Response:[o</s>]"},
	} {
		tok, template := chatFolder(t, "")
		var list []string
		if c.fields != "" {
			list = strings.Split(c.fields, ",")
		}
		fields, err := ParseFields(list)
		if err != nil {
			t.Fatal(err)
		}
		learns(t, tok, template, c.row, ReadOptions{Fields: fields}, c.want)
	}
	for _, c := range []struct{ fields, row, want string }{
		{"prompt=question", `{"question": "q", "prompt": "p", "completion": "a"}`, `want "question" of --fields alone`},
		{"prompt=question", `{"completion": "a", "prompt": null}`, `(--fields takes it from "question")`},
		{"prompt=a,completion=a", `{}`, `got "a" for completion and prompt`},
		{"question=prompt", `{}`, `want a field that a form has`},
		{"prompt", `{}`, `as prompt=question, got "prompt"`},
		{"prompt=a,prompt=b", `{}`, `prompt: want it once`},
		{"", `{"prompt": [{"role": "user", "content": "q"}], "completion": "a"}`, `"prompt": want a string, got a list`},
		{"", `{"prompt": [{"role": "assistant", "content": "q"}], "completion": [{"role": "assistant", "content": "q"}]}`,
			"got one of the assistant"},
		{"", `{"history": [["q"]], "instruction": "i", "output": "o"}`, `"history": pair 0: want a question and its answer`},
	} {
		var list []string
		if c.fields != "" {
			list = strings.Split(c.fields, ",")
		}
		fields, err := ParseFields(list)
		if err == nil {
			_, _, err = Read(t.Context(), []string{save(t, "a.jsonl", c.row)}, ReadOptions{Fields: fields, Format: FormatAuto})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s:\nerror %v\nwant  %s", c.fields, c.row, err, c.want)
		}
	}
}
