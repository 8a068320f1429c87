package chat

import (
	"fmt"
	"strings"

	"github.com/agora-ml/agora/tokenizer"
)

// form is a way of writing conversations that is known by name.
type form struct {
	needs  []string // special tokens by which it is also recognized
	bos    bool     // uses BOS and EOS
	render func(tok tokenizer.PartEncoder, messages []Message, answer bool) ([]tokenizer.Part, error)
}

var forms = map[string]form{
	"llama2": {bos: true, render: llama2},
	"llama3": {
		needs:  []string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"},
		render: llama3,
	},
	"mistral": {bos: true, render: mistral},
	"chatml":  {needs: []string{"<|im_start|>", "<|im_end|>"}, render: chatML},
}

// writer collects parts; text beside text is one part.
type writer struct {
	tok   tokenizer.PartEncoder
	parts []tokenizer.Part
}

func (w *writer) text(s string) {
	if s == "" {
		return
	}
	if n := len(w.parts); n > 0 && !w.parts[n-1].Special {
		w.parts[n-1].Text += s
		return
	}
	w.parts = append(w.parts, tokenizer.Part{Text: s})
}

func (w *writer) id(id int32, _ bool) {
	w.parts = append(w.parts, tokenizer.Part{Text: w.tok.Piece(id), Special: true, ID: id})
}

// mark writes a special token where the vocabulary has it, else its spelling.
func (w *writer) mark(spelling string) {
	if id, ok := w.tok.Special(spelling); ok {
		w.id(id, true)
	} else {
		w.text(spelling)
	}
}

// llama3: a header names who speaks, <|eot_id|> ends the turn.
func llama3(tok tokenizer.PartEncoder, messages []Message, answer bool) ([]tokenizer.Part, error) {
	w := writer{tok: tok}
	header := func(role string) {
		w.mark("<|start_header_id|>")
		w.text(role)
		w.mark("<|end_header_id|>")
		w.text("\n\n")
	}
	w.mark("<|begin_of_text|>")
	for _, m := range messages {
		header(m.Role)
		w.text(strings.TrimSpace(m.Content))
		w.mark("<|eot_id|>")
	}
	if answer {
		header("assistant")
	}
	return w.parts, nil
}

// chatML, of Qwen2 and many fine-tuned models, adds no system message of its own.
func chatML(tok tokenizer.PartEncoder, messages []Message, answer bool) ([]tokenizer.Part, error) {
	w := writer{tok: tok}
	for _, m := range messages {
		w.mark("<|im_start|>")
		w.text(m.Role + "\n" + m.Content)
		w.mark("<|im_end|>")
		w.text("\n")
	}
	if answer {
		w.mark("<|im_start|>")
		w.text("assistant\n")
	}
	return w.parts, nil
}

// llama2: every question and its answer are a sequence of their own, the system's
// message stands inside the first question.
func llama2(tok tokenizer.PartEncoder, messages []Message, _ bool) ([]tokenizer.Part, error) {
	system, turns, err := alternating(messages)
	if err != nil {
		return nil, err
	}
	if system != "" {
		turns[0].Content = "<<SYS>>\n" + system + "\n<</SYS>>\n\n" + turns[0].Content
	}
	w := writer{tok: tok}
	for _, m := range turns {
		content := strings.TrimSpace(m.Content)
		if m.Role == "user" {
			w.id(tok.BOS())
			w.text("[INST] " + content + " [/INST]")
		} else {
			w.text(" " + content + " ")
			w.id(tok.EOS())
		}
	}
	return w.parts, nil
}

// mistral: one BOS, and EOS behind each answer. Since version 3 of Mistral's tokenizer
// [INST] and [/INST] are special tokens and the system's message stands in the last
// question, before in the first.
func mistral(tok tokenizer.PartEncoder, messages []Message, _ bool) ([]tokenizer.Part, error) {
	system, turns, err := alternating(messages)
	if err != nil {
		return nil, err
	}
	_, special := tok.Special("[INST]")
	if system != "" {
		with := 0
		if special {
			with = (len(turns) - 1) / 2 * 2
		}
		turns[with].Content = system + "\n\n" + turns[with].Content
	}
	w := writer{tok: tok}
	w.id(tok.BOS())
	for _, m := range turns {
		switch {
		case m.Role == "assistant":
			w.text(" " + strings.TrimSpace(m.Content))
			w.id(tok.EOS())
		case special:
			w.mark("[INST]")
			w.text(" " + m.Content)
			w.mark("[/INST]")
		default:
			w.text("[INST] " + m.Content + " [/INST]")
		}
	}
	return w.parts, nil
}

// alternating takes the system's message off; user and assistant take turns after it.
func alternating(messages []Message) (system string, turns []Message, err error) {
	if messages[0].Role == "system" {
		system, messages = messages[0].Content, messages[1:]
	}
	if len(messages) == 0 {
		return "", nil, fmt.Errorf("want a user's message, got only the system's")
	}
	for i, m := range messages {
		if want := [2]string{"user", "assistant"}[i%2]; m.Role != want {
			return "", nil, fmt.Errorf("message %d: want role %s (user and assistant take turns), got %.40q", i, want,
				m.Role)
		}
	}
	return system, append([]Message(nil), messages...), nil
}
