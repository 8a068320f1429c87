package chat

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/jinja"
)

// partList is what a template sees of a message that is said in parts, as transformers gives it.
func partList(parts []string) *jinja.List {
	list := &jinja.List{}
	for _, text := range parts {
		list.Items = append(list.Items, jinja.Pairs("type", "text", "text", text))
	}
	return list
}

// printed writes a value as a template does that does not look into it.
var printed = func() *jinja.Template {
	t, err := jinja.Parse("", "{{ x }}")
	if err != nil {
		panic(err)
	}
	return t
}()

// WithParts gives the template as it is for these messages: one that looks into a content that is a list gets what is
// said in parts as such. One that fails for a list, prints it, or leaves a part of it out gets the parts as one text,
// and so does a form that is known by its name.
func (t *Template) WithParts(messages []Message) *Template {
	if t.own == nil || !slices.ContainsFunc(messages, func(m Message) bool { return m.Parts != nil }) {
		return t
	}
	with := *t
	with.parts = true
	v, err := with.values(messages)
	if err != nil {
		return t
	}
	whole, err := with.renderValues(v, false)
	if err != nil {
		return t
	}
	text := textOf(whole.parts)
	for i, m := range messages {
		list, err := printed.Render(context.Background(), jinja.Pairs("x", partList(m.Parts)), jinja.Options{})
		if m.Parts != nil && (err != nil || strings.Contains(text, list.Text)) {
			return t
		}
		for p := range m.Parts {
			other := slices.Clone(m.Parts)
			other[p] += "x"
			r, err := with.renderValues(v.saying(i, partList(other)), false)
			if err == nil && reflect.DeepEqual(r.parts, whole.parts) {
				return t
			}
		}
	}
	return &with
}
