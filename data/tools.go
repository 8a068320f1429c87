package data

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agora-ml/agora/internal/strictjson"
)

// tools takes the tools that a model may call, a list of descriptions or the JSON of one in a string, as sets
// in tables have it. Templates get them as they stand here; with wrap, those that are a function alone become
// {"type": "function", "function": …}, as which programs that know ShareGPT's rows show them.
func (o *object) tools(wrap bool) (string, error) {
	m, ok := o.take("tools")
	if !ok || isHollow(m.Value) || string(m.Value) == `""` {
		if ok {
			o.count("tools", FateEmpty)
		}
		return "", nil
	}
	list := m.Value
	if list[0] == '"' {
		var text string
		if err := strictjson.Unmarshal(list, &text); err != nil {
			return "", faultOf(err, "tools", o.at+m.Offset)
		}
		list = []byte(text)
	}
	items, err := strictjson.Items(list)
	if err != nil {
		return "", o.errorf(m, "want a list of tools, or its JSON in a string: %w", err)
	}
	all := make([]string, len(items))
	for i, item := range items {
		members, err := strictjson.Members(item.Value)
		if err != nil {
			return "", o.errorf(m, "tool %d: %w", i, err)
		}
		if all[i] = string(item.Value); wrap && memberOf(members, "type") == nil {
			all[i] = function(item.Value)
		}
	}
	if len(all) == 0 {
		o.count("tools", FateEmpty)
		return "", nil
	}
	o.count("tools", FateUsed)
	return "[" + strings.Join(all, ", ") + "]", nil
}

// function is a function, or a call of one, as OpenAI writes it.
func function(value []byte) string { return `{"type": "function", "function": ` + string(value) + "}" }

// memberOf is the value of a field, nil if there is none.
func memberOf(members []strictjson.Member, name string) []byte {
	for _, m := range members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// takeExtras takes what a message says beside role and content, and writes the whole as templates see it;
// "" if there is nothing more. spoken says that it has a content.
func (o *object) takeExtras(role, content string, spoken bool) (string, error) {
	more := false
	var fields []string
	add := func(name, value string) { fields = append(fields, strconv.Quote(name)+": "+value) }
	for _, m := range o.members {
		switch m.Name {
		case "role":
			add("role", quoted(role))
		case "content":
			if spoken {
				add("content", quoted(content))
			} else {
				more = true
				add("content", "null")
			}
		case "tool_calls":
			if f, ok := o.take(m.Name); ok && !isHollow(f.Value) {
				if err := o.checkCalls(f, role); err != nil {
					return "", err
				}
				more = true
				add(m.Name, string(f.Value))
				o.count(m.Name, FateUsed)
			} else if ok {
				o.count(m.Name, FateEmpty)
			}
		case "reasoning_content", "reasoning", "thinking", "name", "tool_call_id":
			text, err := o.optional(m.Name)
			if err != nil {
				return "", err
			}
			if text != "" {
				more = true
				add(m.Name, quoted(text))
			}
		}
	}
	if !more && spoken {
		return "", nil
	}
	return "{" + strings.Join(fields, ", ") + "}", nil
}

// quoted is a text, which is UTF-8, in JSON.
func quoted(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// checkCalls makes sure that calls are a list of objects of the assistant, with a function in each.
func (o *object) checkCalls(m strictjson.Member, role string) error {
	items, err := strictjson.Items(m.Value)
	if err != nil {
		return faultOf(err, join(o.path, m.Name), o.at+m.Offset)
	}
	if role != "assistant" {
		return o.errorf(m, "want calls of the assistant, got them of role %.40q", role)
	}
	for i, item := range items {
		if _, err := strictjson.Members(item.Value); err != nil {
			return faultOf(err, fmt.Sprintf("%s[%d]", join(o.path, m.Name), i), o.at+m.Offset+item.Offset)
		}
	}
	return nil
}

// shareGPTCalls makes an assistant's message of what ShareGPT's function_call says: the JSON of a call, or of a
// list of calls, each with a name and arguments.
func (o *object) shareGPTCalls(text string) (string, error) {
	wrong := func(err error) error {
		return &fault{o.at, fmt.Errorf("%s.value: want a call in JSON, with name and arguments: %w", o.path, err)}
	}
	calls := []strictjson.Item{{Value: []byte(strings.TrimSpace(text))}}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		var err error
		if calls, err = strictjson.Items([]byte(text)); err != nil {
			return "", wrong(err)
		}
	}
	var all []string
	for _, c := range calls {
		members, err := strictjson.Members(c.Value)
		if err != nil {
			return "", wrong(err)
		}
		for _, name := range []string{"name", "arguments"} {
			if memberOf(members, name) == nil {
				return "", wrong(fmt.Errorf("got no %q", name))
			}
		}
		all = append(all, function(c.Value))
	}
	if len(all) == 0 {
		return "", wrong(fmt.Errorf("got an empty list"))
	}
	return `{"role": "assistant", "content": null, "tool_calls": [` + strings.Join(all, ", ") + "]}", nil
}
