package chat

import (
	"fmt"
	"strings"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/internal/strictjson"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user, assistant, or what else the template knows (developer, tool)
	Content string `json:"content"`

	// Parts are the texts that the content is given in, where it is a list of them; Content is all of them, one
	// behind the other. nil: it is one text.
	Parts []string `json:"-"`

	// JSON is the message as templates see it, an object, where it says more than a role and a content:
	// tool_calls, what was thought before the answer, or that there is no content. "": it does not.
	JSON string `json:"-"`
}

// fields is the message as templates see it, its content in parts if it has some and they are asked for.
func (m Message) fields(parts bool) (d *jinja.Dict, err error) {
	if d, err = m.plainFields(); err == nil && parts && m.Parts != nil {
		d.Set("content", partList(m.Parts))
	}
	return d, err
}

func (m Message) plainFields() (*jinja.Dict, error) {
	if m.JSON == "" {
		return jinja.Pairs("role", m.Role, "content", m.Content), nil
	}
	v, err := jinja.FromJSON([]byte(m.JSON))
	if err != nil {
		return nil, err
	}
	d, ok := v.(*jinja.Dict)
	if !ok {
		return nil, fmt.Errorf("want an object, got %.40s", m.JSON)
	}
	return d, nil
}

// onlyText returns an error for what a form that is known by its name has no place for.
func (t *Template) onlyText(messages []Message) error {
	if t.tools != "" {
		return fmt.Errorf("want a conversation without tools, got some, for which only a model's own template has a place")
	}
	for i, m := range messages {
		if m.JSON == "" {
			continue
		}
		members, err := strictjson.Members([]byte(m.JSON))
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		var names []string
		for _, f := range members {
			if f.Name != "role" && (f.Name != "content" || string(f.Value) == "null") {
				names = append(names, f.Name)
			}
		}
		return fmt.Errorf("message %d: want a role and a content, got %s, for which only a model's own template "+
			"has a place", i, strings.Join(names, ", "))
	}
	return nil
}
