package data

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// parsePreference reads a pair of answers to one prompt: texts behind a text, messages behind messages, or
// whole texts or conversations, whose prompt is what both begin with. Beside conversations a prompt may stand
// once more as a text, as some sets have it.
func parsePreference(o *object) (r Row, err error) {
	r.Judgment = Chosen
	rejected := &Row{Format: FormatPreference, Judgment: Rejected}
	kinds := [2]byte{o.begins("chosen"), o.begins("rejected")}
	switch kinds {
	case [2]byte{'"', '"'}:
		err = o.texts(&r, rejected)
	case [2]byte{'[', '['}:
		err = o.conversations(&r, rejected)
	default:
		err = &fault{o.at, fmt.Errorf(`want "chosen" and "rejected" that are both texts, or both lists of messages, `+
			"got %s and %s", kindOf(kinds[0]), kindOf(kinds[1]))}
	}
	if err != nil {
		return r, err
	}
	r.Rejected = rejected
	return r, o.rowWeight(&r)
}

// texts reads the answers of a pair that are texts. Without a prompt they are whole: the prompt is what both
// begin with, up to the last white space in it, so that no word is cut.
func (o *object) texts(r, rejected *Row) (err error) {
	if r.Answer, err = o.wantText("chosen"); err != nil {
		return err
	}
	if rejected.Answer, err = o.wantText("rejected"); err != nil {
		return err
	}
	if o.begins("prompt") != 0 {
		r.Prompt, err = o.wantText("prompt")
		rejected.Prompt = r.Prompt
		return err
	}
	shared := 0
	for shared < min(len(r.Answer), len(rejected.Answer)) && r.Answer[shared] == rejected.Answer[shared] {
		shared++
	}
	at := strings.LastIndexAny(r.Answer[:shared], " \t\n")
	if at <= 0 {
		return &fault{o.at, errors.New(`want a string "prompt", or "chosen" and "rejected" that begin with the same ` +
			"words, got neither")}
	}
	r.Prompt, r.Answer = r.Answer[:at], r.Answer[at:]
	rejected.Prompt, rejected.Answer = r.Prompt, rejected.Answer[at:]
	return nil
}

// conversations reads the messages of a pair, and the tools that both may call.
func (o *object) conversations(r, rejected *Row) (err error) {
	if r.Tools, err = o.tools(false); err != nil {
		return err
	}
	rejected.Tools = r.Tools
	chosen, err := o.messages("chosen")
	if err != nil {
		return err
	}
	other, err := o.messages("rejected")
	if err != nil {
		return err
	}
	if o.begins("prompt") == '[' {
		prompt, err := o.messages("prompt")
		if err != nil {
			return err
		}
		if err := o.judge(r, "chosen", slices.Concat(prompt, chosen), len(prompt)); err != nil {
			return err
		}
		return o.judge(rejected, "rejected", slices.Concat(prompt, other), len(prompt))
	}
	shared, shorter := 0, min(len(chosen), len(other))
	for shared < shorter && reflect.DeepEqual(chosen[shared].Message, other[shared].Message) {
		shared++
	}
	if shared == shorter { // two alike, or one that goes on: the last message is an answer all the same
		shared--
	}
	if err := o.judge(r, "chosen", chosen, shared); err != nil {
		return err
	}
	if err := o.judge(rejected, "rejected", other, shared); err != nil {
		return err
	}
	return o.settleRepeats(chosen[:shared])
}

// settleRepeats passes over what a pair of whole conversations says once more: its prompt as a text, and the
// chosen conversation as messages.
func (o *object) settleRepeats(prompt []weighed) error {
	if text, ok := o.peek("prompt"); ok && text != "" {
		if !slices.ContainsFunc(prompt, func(m weighed) bool { return m.Content == text }) {
			return &fault{o.at, errors.New(`"prompt": want a text that is said in the messages which chosen and ` +
				"rejected both begin with, got another")}
		}
		o.settleAs("prompt", FateRepeats)
	}
	if string(o.raw("messages")) == string(o.raw("chosen")) {
		o.settleAs("messages", FateRepeats)
	}
	return nil
}

// raw is the JSON of a field, nil if there is none.
func (o *object) raw(name string) []byte {
	for _, m := range o.members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// parseLabeled reads one answer to a prompt with what somebody thinks of it, true or false: texts, lists of
// messages, or one list whose last message is the answer.
func parseLabeled(o *object) (r Row, err error) {
	desirable, err := o.wantBool("label")
	if err != nil {
		return r, err
	}
	if r.Judgment = Rejected; desirable {
		r.Judgment = Chosen
	}
	kinds := [2]byte{o.begins("prompt"), o.begins("completion")}
	switch {
	case o.begins("messages") != 0:
		var all []weighed
		if all, err = o.messages("messages"); err == nil {
			err = o.judge(&r, "messages", all, len(all)-1)
		}
	case kinds == [2]byte{'"', '"'}:
		if r.Prompt, err = o.wantText("prompt"); err == nil {
			r.Answer, err = o.wantText("completion")
		}
	case kinds == [2]byte{'[', '['}:
		var prompt, answer []weighed
		if prompt, err = o.messages("prompt"); err == nil {
			answer, err = o.messages("completion")
		}
		if err == nil {
			err = o.judge(&r, "completion", slices.Concat(prompt, answer), len(prompt))
		}
	default:
		err = &fault{o.at, fmt.Errorf(`want "prompt" and "completion" that are both texts, or both lists of `+
			"messages, got %s and %s", kindOf(kinds[0]), kindOf(kinds[1]))}
	}
	if err == nil && r.Messages != nil {
		r.Tools, err = o.tools(false)
	}
	if err != nil {
		return r, err
	}
	return r, o.rowWeight(&r)
}

// weighed is a message, and whether it has the weight 0.
type weighed struct {
	chat.Message
	uncounted bool
}

// messages takes a list of messages, of which there is at least one.
func (o *object) messages(name string) (all []weighed, err error) {
	m, ok := o.take(name)
	if !ok {
		return nil, o.missing("a list", name)
	}
	o.count(name, FateUsed)
	items, err := strictjson.Items(m.Value)
	if err != nil {
		return nil, faultOf(err, name, o.at+m.Offset)
	}
	for i, item := range items {
		x, err := o.row.open(item.Value, fmt.Sprintf("%s[%d]", name, i), name+"[]", o.at+m.Offset+item.Offset)
		if err != nil {
			return nil, err
		}
		message, uncounted, err := x.message()
		if err != nil {
			return nil, err
		}
		all = append(all, weighed{message, uncounted})
	}
	if len(all) == 0 {
		return nil, o.errorf(m, "want messages, got an empty list")
	}
	return all, nil
}

// judge makes a row of a conversation of which the messages from number from on are the answer. What stands
// before does not count, though it may hold answers, too.
func (o *object) judge(r *Row, field string, all []weighed, from int) error {
	switch last := all[len(all)-1]; {
	case from == 0:
		return &fault{o.at, fmt.Errorf("%q: want a prompt before the answer (with chosen and rejected messages that "+
			"both begin with), got none", field)}
	case last.Role != "assistant":
		return &fault{o.at, fmt.Errorf("%q: want a last message of the assistant, got one of role %.40q", field,
			last.Role)}
	}
	for i, m := range all {
		r.Messages = append(r.Messages, m.Message)
		r.UncountedMessages = append(r.UncountedMessages, i < from || m.uncounted)
	}
	return nil
}

// begins is the first byte of a field's value, 0 if there is none.
func (o *object) begins(name string) byte {
	m, ok := o.take(name)
	if !ok {
		return 0
	}
	o.taken[slices.IndexFunc(o.members, func(x strictjson.Member) bool { return x.Name == name })] = false
	return m.Value[0]
}

// wantBool takes true or false, which must be there.
func (o *object) wantBool(name string) (value bool, err error) {
	m, ok := o.take(name)
	if !ok {
		return false, o.missing("true or false as", name)
	}
	if value = string(m.Value) == "true"; !value && string(m.Value) != "false" {
		return false, o.errorf(m, "want true or false, got %.40s", m.Value)
	}
	o.count(name, FateUsed)
	return value, nil
}

// kindOf says what a value that begins with a byte is.
func kindOf(first byte) string {
	switch first {
	case 0:
		return "none"
	case '"':
		return "a text"
	case '[':
		return "a list"
	case '{':
		return "an object"
	}
	return "another value"
}

// errSplitAnswer is of answers that are judged as a whole.
var errSplitAnswer = errors.New("want truncate end, start or drop for answers that are judged, got split")

// pair makes one sequence of a row with two answers. Where the start is cut, both lose the same tokens of
// their prompt. A pair of which the model would see no difference is left out, and so is one that has lost
// an answer.
func (o TokenizeOptions) pair(chosen, rejected encoded) (parts []Sequence, lost int) {
	lost = chosen.positions() + rejected.positions()
	policy := o.Truncate
	if over := max(chosen.positions(), rejected.positions()) - o.MaxTokens; policy == TruncateStart && over > 0 {
		chosen, rejected = chosen.behind(over), rejected.behind(over)
	}
	if policy != TruncateDrop {
		policy = TruncateEnd
	}
	better, worse := chosen.cut(o.MaxTokens, policy), rejected.cut(o.MaxTokens, policy)
	if len(better) == 0 || len(worse) == 0 {
		return nil, lost
	}
	s := better[0]
	s.Answer, s.Rejected = max(0, chosen.answer-1), &worse[0]
	if s.Answer >= len(s.IDs) || slices.Equal(s.IDs, worse[0].IDs) &&
		slices.Equal(s.Labels[s.Answer:], worse[0].Labels[s.Answer:]) {
		return nil, lost
	}
	return []Sequence{s}, lost - s.Tokens()
}

// countPrompt makes targets of all that stands before the answer, and notes where that begins.
func (e *encoded) countPrompt() {
	e.answer = slices.Index(e.target, true)
	for t := range e.answer {
		e.target[t] = true
	}
}
