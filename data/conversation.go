package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// speakers are the roles of those who speak in ShareGPT's rows. What a function_call says is the JSON of calls.
var speakers = map[string]string{
	"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant",
	"system": "system", "developer": "developer", "function_call": "assistant", "observation": "tool", "tool": "tool",
}

// roles are those whose spelling is checked.
var roles = []string{"system", "developer", "user", "assistant", "tool"}

// parseChat reads a conversation: OpenAI's messages, or ShareGPT's conversations. What
// stands in a field system is said before the first message.
func parseChat(o *object) (r Row, err error) {
	list := "messages"
	m, ok := o.take(list)
	if !ok {
		list = "conversations"
		m, ok = o.take(list)
	}
	if !ok {
		return r, o.missing("a list", "messages", "conversations")
	}
	o.count(list, FateUsed)
	items, err := strictjson.Items(m.Value)
	if err != nil {
		return r, faultOf(err, list, o.at+m.Offset)
	}
	system, err := o.optional("system")
	if err != nil {
		return r, err
	}
	shared := false
	if system != "" {
		r.add(chat.Message{Role: "system", Content: system}, false)
	}
	for i, item := range items {
		x, err := o.row.open(item.Value, fmt.Sprintf("%s[%d]", list, i), list+"[]", o.at+m.Offset+item.Offset)
		if err != nil {
			return r, err
		}
		read := (*object).message
		if list == "conversations" && !x.has("role") {
			read, shared = (*object).turn, true
		}
		message, uncounted, err := read(x)
		if err != nil {
			return r, err
		}
		if i == 0 && system != "" && message.Role == "system" {
			return r, &fault{x.at, fmt.Errorf("%s: want a system message or the field \"system\", got both", x.path)}
		}
		r.add(message, uncounted)
	}
	if len(items) == 0 {
		return r, &fault{o.at + m.Offset, errors.New("want messages, got an empty list")}
	}
	if r.Tools, err = o.tools(shared); err != nil {
		return r, err
	}
	return r, o.rowWeight(&r)
}

// has reports whether a field is there, whatever it holds.
func (o *object) has(name string) bool {
	return slices.ContainsFunc(o.members, func(m strictjson.Member) bool { return m.Name == name })
}

// add adds a message, and notes whether it counts in the loss.
func (r *Row) add(m chat.Message, uncounted bool) {
	r.Messages = append(r.Messages, m)
	if uncounted && r.UncountedMessages == nil {
		r.UncountedMessages = make([]bool, len(r.Messages)-1)
	}
	if r.UncountedMessages != nil {
		r.UncountedMessages = append(r.UncountedMessages, uncounted)
	}
}

// message reads one as OpenAI writes it.
func (o *object) message() (m chat.Message, uncounted bool, err error) {
	if m.Role, err = o.wantText("role"); err != nil {
		return m, false, err
	}
	if err := o.checkRole(m.Role); err != nil {
		return m, false, err
	}
	spoken := !o.callsAlone()
	if spoken {
		if m.Content, m.Parts, err = o.content("content"); err != nil {
			return m, false, err
		}
	}
	if m.JSON, err = o.takeExtras(m.Role, m.Content, spoken); err != nil {
		return m, false, err
	}
	uncounted, err = o.messageWeight(m.Role)
	o.settle(messageFields)
	return m, uncounted, err
}

// callsAlone reports whether a message calls tools and says nothing: its content is null or missing.
func (o *object) callsAlone() bool {
	content := memberOf(o.members, "content")
	calls := memberOf(o.members, "tool_calls")
	return (content == nil || string(content) == "null") && calls != nil && calls[0] == '[' && !isHollow(calls)
}

// checkRole refuses a role that is one of those known but for its spelling: the template
// would take it for another, and no answer of such an assistant would count.
func (o *object) checkRole(role string) error {
	for spelling, known := range map[string]string{"human": "user", "gpt": "assistant"} {
		if strings.EqualFold(role, spelling) {
			return &fault{o.at, fmt.Errorf("%s.role: want %s, got %.40q", o.path, known, role)}
		}
	}
	for _, known := range roles {
		if strings.EqualFold(role, known) && role != known {
			return &fault{o.at, fmt.Errorf("%s.role: want %s, got %.40q", o.path, known, role)}
		}
	}
	return nil
}

// turn reads a message as ShareGPT writes it.
func (o *object) turn() (m chat.Message, uncounted bool, err error) {
	from, err := o.wantText("from")
	if err != nil {
		return m, false, err
	}
	if m.Content, m.Parts, err = o.content("value"); err != nil {
		return m, false, err
	}
	ok := false
	if m.Role, ok = speakers[from]; !ok {
		return m, false, &fault{o.at, fmt.Errorf("%s.from: want human, gpt, system, function_call, observation or tool, "+
			"got %.40q", o.path, from)}
	}
	if from == "function_call" {
		if m.JSON, err = o.shareGPTCalls(m.Content); err != nil {
			return m, false, err
		}
		m.Content, m.Parts = "", nil
	}
	uncounted, err = o.messageWeight(m.Role)
	o.settle(turnFields)
	return m, uncounted, err
}

// messageWeight takes the weight of a message. One above 0 is refused where the message
// would not count all the same.
func (o *object) messageWeight(role string) (uncounted bool, err error) {
	weight, given, err := o.weight()
	if err == nil && given && weight != 0 && role != "assistant" {
		err = &fault{o.at, fmt.Errorf("%s.weight: want 1 on messages of the assistant only (with the loss on all "+
			"tokens every message counts without it), got it on role %.40q", o.path, role)}
	}
	return weight == 0, err
}

// content takes what is said: a string, or a list of parts that are all text.
func (o *object) content(name string) (whole string, parts []string, err error) {
	m, ok := o.take(name)
	if !ok || m.Value[0] != '[' {
		whole, err = o.wantText(name)
		return whole, nil, err
	}
	items, err := strictjson.Items(m.Value)
	if err != nil {
		return "", nil, faultOf(err, join(o.path, name), o.at+m.Offset)
	}
	if len(items) == 0 {
		return "", nil, o.errorf(m, "want a string or a list of parts, got an empty list")
	}
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", join(o.path, name), i)
		part, err := o.row.open(item.Value, path, join(o.kind, name)+"[]", o.at+m.Offset+item.Offset)
		if err != nil {
			return "", nil, err
		}
		kind, err := part.wantText("type")
		if err != nil {
			return "", nil, err
		}
		if kind != "text" {
			return "", nil, &fault{part.at, fmt.Errorf("%s.type: want text, got %.40q, which cannot be read", path, kind)}
		}
		text, err := part.wantText("text")
		if err != nil {
			return "", nil, err
		}
		part.settle(partFields)
		parts = append(parts, text)
	}
	o.count(name, FateUsed)
	return strings.Join(parts, ""), parts, nil
}
