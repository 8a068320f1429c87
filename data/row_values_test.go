package data

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// A system text stands where a system message would, or before Alpaca's prompt.
func TestSystemField(t *testing.T) {
	const turns = `[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]`
	const shared = `[{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]`
	const own = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
	for _, c := range []struct{ row, want string }{
		{`{"system": "S", "messages": ` + turns + `}`, "chat system:S|user:q|assistant:a"},
		{`{"conversations": ` + shared + `, "system": "S"}`, "chat system:S|user:q|assistant:a"},
		{`{"system": "", "messages": ` + turns + `}`, "chat user:q|assistant:a"},
		{`{"system": null, "conversations": ` + shared + `}`, "chat user:q|assistant:a"},
		{`{"system": "", "messages": [{"role": "system", "content": "T"}, ` + turns[1:] + `}`,
			"chat system:T|user:q|assistant:a"},
		{`{"system": "S", "messages": [` + turns[1:len(turns)-1] + `, {"role": "system", "content": "T"}]}`,
			"chat system:S|user:q|assistant:a|system:T"},
		{`{"system": "S", "instruction": "i", "output": "o"}`, "S\n\n### Instruction:\ni\n\n### Response:|o"},
		{`{"system": "S\n", "instruction": "i", "input": "x", "output": "o"}`,
			"S\n\n\n### Instruction:\ni\n\n### Input:\nx\n\n### Response:|o"},
		{`{"system": "", "instruction": "i", "output": "o"}`, own + "\n\n### Instruction:\ni\n\n### Response:|o"},
		{`{"system": null, "instruction": "i", "output": "o"}`, own + "\n\n### Instruction:\ni\n\n### Response:|o"},
	} {
		rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", c.row)}, ReadOptions{})
		if err != nil || len(rows) != 1 {
			t.Errorf("%s: %v, error %v", c.row, rows, err)
			continue
		}
		got := rows[0].Prompt + "|" + rows[0].Answer
		if rows[0].Format == FormatChat {
			got = brief(rows[0])
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.row, got, c.want)
		}
	}
	rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl",
		`{"system": "S", "instruction": "i", "input": "", "output": "ok"}`)}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seqs, _, err := Tokenize(t.Context(), letters{}, rows, TokenizeOptions{MaxTokens: 99})
	if want := "<S\n\n### Instruction:\ni\n\n### Response:ok/" + strings.Repeat("-", 3+16+1+1+2+13) +
		"ok>"; err != nil || spell(seqs) != want {
		t.Errorf("ids and labels are %q, error %v, want %q", spell(seqs), err, want)
	}
	for row, want := range map[string]string{
		`{"system": "S", "messages": [{"role": "system", "content": "T"}, ` + turns[1:] +
			`}`: `messages[0]: want a system message or the field "system", got both`,
		`{"system": "S", "conversations": [{"from": "system", "value": "S"}, ` + shared[1:] +
			`}`: `conversations[0]: want a system message or the field "system", got both`,
		`{"system": ["S"], "messages": ` + turns + `}`:                 `"system": want a string, got a list`,
		`{"system": 1, "instruction": "i", "output": "o"}`:             `"system": want a string, got the number 1`,
		`{"system": "S", "prompt": "p", "completion": "c"}`:            `"system": want fields that a row of completion has (prompt, completion, weight)`,
		`{"system": "S", "text": "t"}`:                                 `"system": want fields that a row of text has (text, weight)`,
		`{"messages": ` + turns + `, "conversations": ` + shared + `}`: `"conversations": want fields`,
		`{"instruction": "i", "output": "o", "text": "t"}`:             `"text": want fields`,
		`{"prompt": "p", "completion": "c", "text": "p c"}`:            `"text": want fields`,
		`{"prompt": "x", "text": "y"}`:                                 `"prompt": want fields`,
	} {
		if _, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{}); err == nil ||
			!strings.Contains(err.Error(), "row 1 (line 1): "+want) {
			t.Errorf("%s:\nerror %v\nwant  %s", row, err, want)
		}
	}
}

// The set tatsu-lab/alpaca has the whole prompt and its answer once more, as text.
func TestAlpacaWithItsText(t *testing.T) {
	const row = `{"instruction": "Say a.", "input": "", "output": "a\n b", "text": "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay a.\n\n### Response:\na\n b"}`
	rows, fields, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{})
	if err != nil || len(rows) != 1 || rows[0].Answer != "a\n b" ||
		fields[2] != (Field{FormatAlpaca, "text", FateRepeats, 1}) {
		t.Errorf("%+v, fields %v, error %v", rows, fields, err)
	}
	for _, other := range []string{strings.Replace(row, `:\na\n b"`, `:\na"`, 1),
		strings.Replace(row, `\n b"}`, `\n b c"}`, 1), strings.Replace(row, "Below", "System: x", 1)} {
		if _, _, err := Read(t.Context(), []string{save(t, "a.jsonl", other)}, ReadOptions{}); err == nil ||
			!strings.Contains(err.Error(), `"text": want fields`) {
			t.Errorf("%s: error %v", other, err)
		}
	}
}

// What is said may be a list of parts, if they are text.
func TestContentParts(t *testing.T) {
	for list, name := range map[string][2]string{"messages": {"role", "content"}, "conversations": {"from", "value"}} {
		row := func(content string) string {
			return fmt.Sprintf(`{%q: [{%q: "user", %q: %s}]}`, list, name[0], name[1], content)
		}
		rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl",
			row(`[{"type": "text", "text": "a "}, {"text": "b", "type": "text", "annotations": []}, {"type": "text", "text": ""}]`))}, ReadOptions{})
		if err != nil || len(rows) != 1 ||
			!reflect.DeepEqual(rows[0].Messages[0], chat.Message{Role: "user", Content: "a b", Parts: []string{"a ", "b", ""}}) {
			t.Errorf("%s: %+v, error %v", list, rows, err)
		}
		at := list + "[0]." + name[1]
		for content, want := range map[string]string{
			`[{"type": "image_url", "image_url": {"url": "x"}}]`:       at + `[0].type: want text, got "image_url"`,
			`[{"type": "text", "text": "a"}, {"type": "input_audio"}]`: at + `[1].type: want text, got "input_audio"`,
			`[{"type": "text"}]`:            at + `[0]: want a string "text", got none`,
			`[{"text": "a"}]`:               at + `[0]: want a string "type", got none`,
			`["a"]`:                         `"` + at + `[0]": want an object, got a string`,
			`[]`:                            `"` + at + `": want a string or a list of parts, got an empty list`,
			`{"type": "text", "text": "a"}`: `"` + at + `": want a string, got an object`,
			`null`:                          list + `[0]: want a string "` + name[1] + `", got none`,
			`[{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]`: `"` + at +
				`[0].cache_control": want fields`,
			`[{"type": "text", "text": 7}]`: `"` + at + `[0].text": want a string, got the number 7`,
		} {
			if _, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row(content))},
				ReadOptions{}); err == nil || !strings.Contains(err.Error(), "row 1 (line 1): "+want) {
				t.Errorf("%s %s:\nerror %v\nwant  %s", list, content, err, want)
			}
		}
	}
}

// A weight is 0 or 1, on a row of any form and on the assistant's messages.
func TestWeights(t *testing.T) {
	for form, rows := range formRows {
		for _, row := range rows[:min(len(rows), 2)] {
			for weight, uncounted := range map[string]bool{"0": true, "1": false, "0.0": true, "1e0": false,
				"null": false} {
				got, _, err := Read(t.Context(), []string{save(t, "a.jsonl", with(row, `, "weight": `+weight))},
					ReadOptions{})
				if err != nil || len(got) != 1 || got[0].Uncounted != uncounted {
					t.Errorf("%s of weight %s: %+v, error %v", form, weight, got, err)
				}
			}
			for _, weight := range []string{"0.5", "2", "-1", `"1"`, "true", "[1]", `{"a": 1}`, "1e400"} {
				_, _, err := Read(t.Context(), []string{save(t, "a.jsonl", with(row, `, "weight": `+weight))},
					ReadOptions{})
				if want := `row 1 (line 1): "weight": want 0 (not in the loss) or 1, got ` + weight; err == nil ||
					!strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %v, want %s", form, err, want)
				}
			}
		}
	}
	for _, c := range []struct{ row, want string }{
		{`{"messages": [{"role": "user", "content": "q", "weight": 0}, {"role": "assistant", "content": "a", "weight": 0}, {"role": "assistant", "content": "b"}]}`, "[true true false]"},
		{`{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a", "weight": 1}, {"from": "gpt", "value": "b", "weight": 0}], "system": "s"}`, "[false false false true]"},
		{`{"messages": [{"role": "assistant", "content": "a", "weight": 1}]}`, "[]"},
		{`{"messages": [{"role": "assistant", "content": "a", "weight": 0.1}]}`,
			`"messages[0].weight": want 0 (not in the loss) or 1, got 0.1`},
		{`{"conversations": [{"from": "gpt", "value": "a", "weight": "0"}]}`,
			`"conversations[0].weight": want 0 (not in the loss) or 1, got "0"`},
		{`{"messages": [{"role": "user", "content": "a", "weight": 1}]}`,
			`messages[0].weight: want 1 on messages of the assistant only (with the loss on all tokens every message counts without it), got it on role "user"`},
	} {
		rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", c.row)}, ReadOptions{})
		if err == nil && fmt.Sprint(rows[0].UncountedMessages) == c.want ||
			err != nil && strings.Contains(err.Error(), c.want) {
			continue
		}
		t.Errorf("%s: %+v, error %v, want %s", c.row, rows, err, c.want)
	}
}

// Of weight 0 nothing counts, whatever the loss is on; what is read is the same.
func TestWeightsInTheLoss(t *testing.T) {
	tok, template := chatFolder(t, "")
	messages := append([]chat.Message{{Role: "system", Content: "s"}}, say("q", "bad", "r", "good")...)
	for _, c := range []struct {
		loss      Loss
		uncounted []bool
		want      string
	}{
		{LossAnswers, nil, "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[bad<|im_end|>]\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n[good<|im_end|>]"},
		{LossAnswers, []bool{false, false, true, false, false},
			"<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nbad<|im_end|>\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n[good<|im_end|>]"},
		{LossAnswers, []bool{true, true, false, true, true},
			"<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[bad<|im_end|>]\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\ngood<|im_end|>"},
		{LossAll, []bool{false, false, true, false, false},
			"<|im_start|>[system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n]bad<|im_end|>[\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\ngood<|im_end|>\n]"},
		{LossAll, []bool{true, false, false, true, false},
			"<|im_start|>system\ns<|im_end|>[\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nbad<|im_end|>\n]<|im_start|>user\nr<|im_end|>[\n<|im_start|>assistant\ngood<|im_end|>\n]"},
	} {
		row := Row{Format: FormatChat, Messages: messages, UncountedMessages: c.uncounted}
		seqs, _, err := Tokenize(t.Context(), tok, []Row{row},
			TokenizeOptions{MaxTokens: 1000, Template: template, Loss: c.loss})
		if err != nil || len(seqs) != 1 {
			t.Errorf("%s, %v: %v, error %v", c.loss, c.uncounted, seqs, err)
			continue
		}
		if got := strings.TrimSuffix(marked(tok, seqs[0]), "\n"); got != strings.TrimSuffix(c.want, "\n") {
			t.Errorf("%s, %v:\ngot  %q\nwant %q", c.loss, c.uncounted, got, c.want)
		}
	}
	for _, r := range []Row{
		{Uncounted: true, Prompt: "p", Answer: "a"}, {Uncounted: true, Format: FormatText, Text: "t"},
		{Uncounted: true, Format: FormatChat, Messages: messages},
		{Format: FormatChat, Messages: messages, UncountedMessages: []bool{false, false, true, false, true}},
	} {
		for _, loss := range []Loss{LossAnswers, LossAll} {
			seqs, counts, err := Tokenize(t.Context(), tok, []Row{r},
				TokenizeOptions{MaxTokens: 1000, Template: template, Loss: loss})
			if all := loss == LossAll && !r.Uncounted; err != nil || len(seqs) != 0 && !all ||
				counts.Dropped != 1 && !all {
				t.Errorf("%+v with the loss on %s: %v, %+v, error %v", r, loss, seqs, counts, err)
			}
		}
	}
	// Where an answer of weight 0 is need not be told, unless all else counts.
	_, forgetful := chatFolder(t, "{% for m in messages %}{% if m.role == 'user' or loop.last %}<|im_start|>{{ m.content }}{% endif %}{% endfor %}")
	row := Row{Format: FormatChat, Messages: say("q", "a", "r", "b"),
		UncountedMessages: []bool{false, true, false, false}}
	seqs, _, err := Tokenize(t.Context(), tok, []Row{row}, TokenizeOptions{MaxTokens: 1000, Template: forgetful})
	if err != nil || len(seqs) != 1 || marked(tok, seqs[0]) != "<|im_start|>q<|im_start|>r[<|im_start|>b</s>]" {
		t.Errorf("%v, error %v", seqs, err)
	}
	_, _, err = Tokenize(t.Context(), tok, []Row{row},
		TokenizeOptions{MaxTokens: 1000, Template: forgetful, Loss: LossAll})
	if err == nil || !strings.Contains(err.Error(), "so where message 2, of weight 0, begins and ends cannot be told") {
		t.Errorf("error %v", err)
	}
}

// A role that is known in other letters, or by another form's word, is no other role.
func TestRoles(t *testing.T) {
	for role, want := range map[string]string{"Assistant": "assistant", "USER": "user", "System": "system",
		"human": "user", "gpt": "assistant", "GPT": "assistant"} {
		row := fmt.Sprintf(`{"messages": [{"role": "user", "content": "q"}, {"role": %q, "content": "a"}]}`, role)
		if _, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{}); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("messages[1].role: want %s, got %q", want, role)) {
			t.Errorf("%s: error %v", role, err)
		}
	}
	for _, role := range []string{"user", "assistant", "system", "tool", "developer", "ipython"} {
		row := fmt.Sprintf(`{"messages": [{"role": %q, "content": "a"}]}`, role)
		if rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{}); err != nil ||
			rows[0].Messages[0].Role != role {
			t.Errorf("%s: %v, error %v", role, rows, err)
		}
	}
}
