// Package chat writes a conversation as the model was taught to read one: who speaks is
// marked by special tokens, and what they say stays text, whatever it spells.
package chat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tokenizer"
)

// Template turns messages into a prompt. It does not change, so several goroutines may
// use it at once.
type Template struct {
	name  string
	tok   tokenizer.PartEncoder
	form  func(tok tokenizer.PartEncoder, messages []Message, answer bool) ([]tokenizer.Part, error)
	own   *ownTemplate // of a folder, in place of form
	tools string       // see WithTools
	parts bool         // see WithParts
}

// Name is the form's name, or the file that the template is from.
func (t *Template) Name() string { return t.name }

// At gives the template as it is at a time, which it may ask for. Without it that is the
// time at which it was loaded.
func (t *Template) At(now time.Time) *Template {
	if t.own == nil {
		return t
	}
	own, at := *t.own, *t
	own.now, at.own = now, &own
	return &at
}

// WithTools gives the template as it is where the model may call tools: a list in JSON, each of them
// described as the row or the program has it. "" is none. Of a folder whose template for them is one of
// its own, named tool_use, it is that.
func (t *Template) WithTools(tools string) *Template {
	if tools == t.tools {
		return t
	}
	with := *t
	with.tools = tools
	return &with
}

// AsksTime tells whether what the template writes may depend on the time.
func (t *Template) AsksTime() bool { return t.own != nil && t.program().AsksTime() }

// Parts gives the prompt as text and special tokens. With answer it ends where the
// assistant's next answer begins.
func (t *Template) Parts(messages []Message, answer bool) ([]tokenizer.Part, error) {
	r, err := t.render(messages, answer)
	return r.parts, err
}

func (t *Template) render(messages []Message, answer bool) (r rendered, err error) {
	switch {
	case len(messages) == 0:
		err = errors.New("want messages, got none")
	case t.own != nil:
		r, err = t.renderOwn(messages, answer)
	default:
		if err = t.onlyText(messages); err == nil {
			r.parts, err = t.form(t.tok, messages, answer)
		}
	}
	if err != nil {
		return rendered{}, fmt.Errorf("chat: %s: %w", t.name, err)
	}
	return r, nil
}

// Border is a place in a prompt: before the byte At of the text of a part.
type Border struct{ Part, At int }

// Span is a piece of a prompt.
type Span struct{ From, To Border }

// Generates tells whether the template marks what the assistant generates, by
// {% generation %}.
func (t *Template) Generates() bool { return t.own != nil && t.program().Generates() }

// Generated gives the parts, and of them what the template marks as generated, in order. A
// template that marks it where its place cannot be told (in a macro, or in text that goes
// through a filter) is an error.
func (t *Template) Generated(messages []Message, answer bool) ([]tokenizer.Part, []Span, error) {
	r, err := t.render(messages, answer)
	if err == nil && r.displaced {
		err = fmt.Errorf("chat: %s: want generation blocks at the template's own level, got one in a macro, a filter,"+
			" a recursive loop or what set keeps", t.name)
	}
	return r.parts, r.generated, err
}

// Encode gives the ids of the prompt, BOS included where the template puts one.
func (t *Template) Encode(messages []Message, answer bool) ([]int32, error) {
	parts, err := t.Parts(messages, answer)
	if err != nil {
		return nil, err
	}
	return t.tok.EncodeParts(parts), nil
}

// Names lists the forms that Named knows.
func Names() []string { return slices.Sorted(maps.Keys(forms)) }

// Named gives a form by its name, for a tokenizer that has its special tokens.
func Named(name string, tok tokenizer.Tokenizer) (*Template, error) {
	f, ok := forms[name]
	if !ok {
		return nil, fmt.Errorf("chat: want a template named %s, got %.40q", strings.Join(Names(), ", "), name)
	}
	parts, ok := tok.(tokenizer.PartEncoder)
	if !ok {
		return nil, fmt.Errorf("chat: %s: want a tokenizer with special tokens, got %T", name, tok)
	}
	for _, spelling := range f.needs {
		if _, ok := parts.Special(spelling); !ok {
			return nil, fmt.Errorf("chat: %s: want the special token %s in the vocabulary, got none", name, spelling)
		}
	}
	if f.bos {
		if _, ok := tok.BOS(); !ok {
			return nil, fmt.Errorf("chat: %s: want a tokenizer with BOS, got none", name)
		}
		if _, ok := tok.EOS(); !ok {
			return nil, fmt.Errorf("chat: %s: want a tokenizer with EOS, got none", name)
		}
	}
	return &Template{name: name, tok: parts, form: f.render}, nil
}

// Load gives the template of a model's folder or GGUF file: its own, written in Jinja, in a folder in
// chat_template.jinja or tokenizer_config.json. A folder without one has the form
// that its special tokens belong to; where none can be told, Load says so, and the
// caller may ask for one by name.
func Load(dir string, tok tokenizer.Tokenizer) (*Template, error) {
	parts, ok := tok.(tokenizer.PartEncoder)
	if !ok {
		return nil, fmt.Errorf("chat: %s: want a tokenizer with special tokens, got %T", dir, tok)
	}
	name := dir
	var sources sources
	var config *tokenizer.Config
	var err error
	if gguf.IsFile(dir) {
		sources, config, err = fromGGUF(dir, tok)
	} else {
		name, sources, config, err = fromFolder(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	if sources.usual != "" {
		own, err := newOwn(sources, config, tok)
		if err != nil {
			return nil, fmt.Errorf("chat: %s: %w; the forms %s can be asked for by name", name, err,
				strings.Join(Names(), ", "))
		}
		return &Template{name: name, tok: parts, own: own}, nil
	}
	for _, form := range Names() {
		if needs := forms[form].needs; len(needs) > 0 {
			if t, err := Named(form, tok); err == nil {
				return t, nil
			}
		}
	}
	if gguf.IsFile(dir) {
		return nil, fmt.Errorf("chat: %s: want the key tokenizer.chat_template, or special tokens that tell, got"+
			" neither; the forms %s can be asked for by name", dir, strings.Join(Names(), ", "))
	}
	return nil, fmt.Errorf("chat: %s: want a chat_template in %s or %s, or special tokens that tell, got none;"+
		" the forms %s can be asked for by name",
		dir, tokenizer.ConfigFile, JinjaFile, strings.Join(Names(), ", "))
}

// spelling is what a template writes for BOS or EOS.
func spelling(configured *tokenizer.TokenName, id func() (int32, bool), tok tokenizer.Tokenizer) string {
	if configured != nil {
		return string(*configured)
	}
	if id, ok := id(); ok {
		return tok.Piece(id)
	}
	return ""
}
