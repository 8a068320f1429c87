package chat

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// errNoGoTemplate says that a template is not of the form that GoTemplate finds.
var errNoGoTemplate = errors.New("chat: want a template that writes the same text around each message of a role, got" +
	" another")

// turnText is what a template writes around a message of one role.
type turnText struct{ before, behind string }

// goForm is a template that writes something around each message, by its role, and a text of its own
// in front of conversations without a system's message.
type goForm struct {
	missingSystem string
	turns         map[string]turnText // by role
	answer        string              // what an answer begins with
}

// GoTemplate returns the template in Go's text/template, as Ollama's Modelfile wants it: of .Messages,
// each with .Role and .Content, up to where the next answer begins. bos is the spelling of a token that
// the reader puts in front of a text itself, and that the result therefore does not begin with. It
// finds templates that write the same text around each message of a role, tries what it found on
// conversations of several turns, and returns an error for all others.
func (t *Template) GoTemplate(bos string) (string, error) {
	render := func(answer bool, turns ...Message) (string, error) {
		parts, err := t.Parts(turns, answer)
		var b strings.Builder
		for _, p := range parts {
			b.WriteString(p.Text)
		}
		return strings.TrimPrefix(b.String(), bos), err
	}
	form, err := findGoForm(render)
	if err != nil {
		return "", err
	}
	text := form.text()
	parsed, err := template.New("").Parse(text)
	if err != nil {
		return "", fmt.Errorf("chat: %w", err)
	}
	user, assistant := Message{Role: "user", Content: "b c"}, Message{Role: "assistant", Content: "d"}
	conversations := [][]Message{{user}, {user, assistant, user}, {user, assistant, user, assistant, user}}
	if _, ok := form.turns["system"]; ok {
		for _, c := range slices.Clone(conversations) {
			conversations = append(conversations, slices.Concat([]Message{{Role: "system", Content: "a"}}, c))
		}
	}
	for _, c := range conversations {
		want, err := render(true, c...)
		if err != nil {
			return "", err
		}
		var got strings.Builder
		if err := parsed.Execute(&got, map[string]any{"Messages": c}); err != nil || got.String() != want {
			return "", errNoGoTemplate
		}
	}
	return text, nil
}

// findGoForm looks at what a template writes around the messages of small conversations.
func findGoForm(render func(answer bool, turns ...Message) (string, error)) (f goForm, err error) {
	// Private characters stand for what is said, as no template writes them.
	const said, answered, again = "\ue010", "\ue011", "\ue012"
	user, assistant := Message{Role: "user", Content: said}, Message{Role: "assistant", Content: answered}
	cut := func(answer bool, turns ...Message) []string {
		text, e := render(answer, turns...)
		if err == nil {
			err = e
		}
		var pieces []string
		for _, m := range turns {
			before, behind, ok := strings.Cut(text, m.Content)
			if !ok {
				before, behind = text, ""
			}
			pieces, text = append(pieces, before), behind
		}
		return append(pieces, text)
	}
	take := func(from func(string, string) (string, bool), text, part string) string {
		rest, ok := from(text, part)
		if !ok && err == nil {
			err = errNoGoTemplate
		}
		return rest
	}
	behindUser := cut(false, user)[1]
	behindAssistant := cut(false, user, assistant)[2]
	turns := cut(true, user, assistant, Message{Role: "user", Content: again})
	f.answer = take(strings.CutPrefix, turns[3], behindUser)
	beforeAssistant := take(strings.CutPrefix, turns[1], behindUser)
	beforeUser := take(strings.CutPrefix, turns[2], behindAssistant)
	f.missingSystem = take(strings.CutSuffix, turns[0], beforeUser)
	f.turns = map[string]turnText{
		"user": {beforeUser, behindUser}, "assistant": {beforeAssistant, behindAssistant},
	}
	if err != nil {
		return f, err
	}
	system := cut(true, Message{Role: "system", Content: again}, user)
	if err != nil { // some templates have no place for it
		return f, nil
	}
	f.turns["system"] = turnText{system[0], take(strings.CutSuffix, system[1], beforeUser)}
	return f, err
}

// text is the form in Go's text/template.
func (f goForm) text() string {
	var b strings.Builder
	if f.missingSystem != "" {
		fmt.Fprintf(&b, `{{ if ne (index .Messages 0).Role "system" }}%s{{ end }}`, literal(f.missingSystem))
	}
	b.WriteString("{{ range .Messages }}")
	keyword := "if"
	for _, role := range []string{"system", "user", "assistant"} {
		if turn, ok := f.turns[role]; ok {
			fmt.Fprintf(&b, `{{ %s eq .Role "%s" }}%s{{ .Content }}%s`, keyword, role, literal(turn.before),
				literal(turn.behind))
			keyword = "else if"
		}
	}
	b.WriteString("{{ end }}{{ end }}" + literal(f.answer))
	return b.String()
}

// literal is text as a template writes it as it is.
func literal(text string) string {
	if strings.Contains(text, "{{") {
		return "{{ " + strconv.Quote(text) + " }}"
	}
	return text
}
