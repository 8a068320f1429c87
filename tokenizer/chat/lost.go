package chat

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/tokenizer"
)

// links are fields that say which call an answer of a tool is to. A template may leave them out: the order
// of the messages says it, too.
var links = []string{"role", "content", "tool_call_id", "id"}

// CheckLost returns an error if the template leaves out something of a conversation: its tools, a field that
// messages have beside role and content, or what a message says. Templates pass over what they do not
// know, and a model would then be taught to answer what it was not told.
//
// Whether something is left out is tried: it is if the template writes the same without it. Of a field
// that several messages have, one that is written is enough, as some templates leave out what was thought
// before an earlier answer.
func (t *Template) CheckLost(messages []Message) error {
	if t.own == nil || len(messages) == 0 {
		return nil // forms that are known by name write all that they take
	}
	v, err := t.values(messages)
	if err != nil {
		return fmt.Errorf("chat: %s: %w", t.name, err)
	}
	whole, err := t.renderValues(v, false)
	if err != nil {
		return fmt.Errorf("chat: %s: %w", t.name, err)
	}
	same := func(other conversation) bool {
		r, err := t.renderValues(other, false)
		return err == nil && reflect.DeepEqual(r.parts, whole.parts)
	}
	if v.tools != nil && same(conversation{v.messages, nil}) {
		return fmt.Errorf("chat: %s: want a template that writes the tools of a conversation, got one that leaves them "+
			"out; --ignore-fields tools passes over them", t.name)
	}
	for _, name := range v.extras() {
		if same(v.without(name)) {
			return fmt.Errorf("chat: %s: want a template that writes %q of messages, got one that leaves it out; "+
				"--ignore-fields %s passes over it", t.name, name, name)
		}
	}
	text := textOf(whole.parts)
	for i, m := range messages {
		said := strings.TrimSpace(m.Content)
		known := m.JSON == "" && slices.Contains([]string{"system", "user", "assistant"}, m.Role)
		if said == "" || known && strings.Contains(text, said) {
			continue
		}
		if same(v.saying(i, m.Content+"x")) {
			return fmt.Errorf("chat: %s: want a template that writes what every message says, got one that leaves out "+
				"message %d, of role %.40q", t.name, i, m.Role)
		}
	}
	return nil
}

func textOf(parts []tokenizer.Part) string {
	var s strings.Builder
	for _, p := range parts {
		s.WriteString(p.Text)
	}
	return s.String()
}

// conversation is what a template is given.
type conversation struct {
	messages []*jinja.Dict
	tools    jinja.Value // nil: none
}

// extras are the names of fields beside role and content, in their order.
func (c conversation) extras() (names []string) {
	for _, m := range c.messages {
		for _, e := range m.Entries() {
			if name, ok := e.Key.(string); ok && !slices.Contains(links, name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// without is the conversation without a field of its messages.
func (c conversation) without(name string) conversation {
	return c.each(func(_ int, e jinja.Entry, to *jinja.Dict) {
		if e.Key != jinja.Value(name) {
			to.Set(e.Key.(string), e.Value)
		}
	})
}

// saying is the conversation with another content of message i.
func (c conversation) saying(i int, content jinja.Value) conversation {
	return c.each(func(number int, e jinja.Entry, to *jinja.Dict) {
		if number == i && e.Key == jinja.Value("content") {
			e.Value = content
		}
		to.Set(e.Key.(string), e.Value)
	})
}

func (c conversation) each(put func(i int, e jinja.Entry, to *jinja.Dict)) conversation {
	other := conversation{tools: c.tools}
	for i, m := range c.messages {
		d := &jinja.Dict{}
		for _, e := range m.Entries() {
			put(i, e, d)
		}
		other.messages = append(other.messages, d)
	}
	return other
}
