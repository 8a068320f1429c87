package data

import (
	"errors"
	"slices"
)

// parseCompletion reads a prompt and what should follow it: both texts, or both messages.
func parseCompletion(o *object) (r Row, err error) {
	if o.begins("prompt") == '[' && o.begins("completion") == '[' {
		err = o.completionMessages(&r)
		return r, err
	}
	if r.Prompt, err = o.wantText("prompt"); err != nil {
		return r, err
	}
	if r.Answer, err = o.wantText("completion"); err != nil {
		return r, err
	}
	return r, o.rowWeight(&r)
}

// completionMessages reads a conversation in two parts. What the assistant has said in the prompt has the
// weight 0.
func (o *object) completionMessages(r *Row) error {
	prompt, err := o.messages("prompt")
	if err != nil {
		return err
	}
	completion, err := o.messages("completion")
	if err != nil {
		return err
	}
	if prompt[len(prompt)-1].Role == "assistant" {
		return &fault{o.at, errors.New(`"prompt": want a last message of somebody else, got one of the assistant, ` +
			"which the completion would go on with")}
	}
	for i, m := range slices.Concat(prompt, completion) {
		r.add(m.Message, m.uncounted || i < len(prompt) && m.Role == "assistant")
	}
	if r.Tools, err = o.tools(false); err != nil {
		return err
	}
	return o.rowWeight(r)
}
