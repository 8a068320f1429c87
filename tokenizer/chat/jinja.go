package chat

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/tokenizer"
)

// A template is a program that came with the model. Package jinja renders it as
// transformers renders it, and bounds what it may use.
type ownTemplate struct {
	parsed  *jinja.Template
	toolUse *jinja.Template // for conversations with tools; nil: parsed, too
	tokens  []jinja.Entry   // bos_token and the others that a folder names
	now     time.Time
}

func newOwn(sources sources, config *tokenizer.Config, tok tokenizer.Tokenizer) (*ownTemplate, error) {
	parsed, err := jinja.Parse("", sources.usual) // the caller knows its name
	if err != nil {
		return nil, err
	}
	o := &ownTemplate{parsed: parsed, now: time.Now()}
	if sources.toolUse != "" {
		if o.toolUse, err = jinja.Parse("", sources.toolUse); err != nil {
			return nil, fmt.Errorf("%s: %w", toolUse, err)
		}
	}
	set := func(name, spelling string) {
		if spelling != "" {
			o.tokens = append(o.tokens, jinja.Entry{Key: name, Value: spelling})
		}
	}
	set("bos_token", spelling(config.BOSToken, tok.BOS, tok))
	set("eos_token", spelling(config.EOSToken, tok.EOS, tok))
	for name, t := range map[string]*tokenizer.TokenName{
		"unk_token": config.UnknownToken, "sep_token": config.SeparatorToken, "pad_token": config.PaddingToken,
		"cls_token": config.ClassToken, "mask_token": config.MaskToken,
	} {
		if t != nil {
			set(name, string(*t))
		}
	}
	return o, nil
}

// program is the one of the folder's templates that writes conversations with tools, or without.
func (t *Template) program() *jinja.Template {
	if t.tools != "" && t.own.toolUse != nil {
		return t.own.toolUse
	}
	return t.own.parsed
}

// rendered is a conversation as a template wrote it.
type rendered struct {
	parts     []tokenizer.Part
	generated []Span
	displaced bool // a generation block stood where its place is not known
}

// values are messages and tools as a template of a folder sees them.
func (t *Template) values(messages []Message) (c conversation, err error) {
	for i, m := range messages {
		d, err := m.fields(t.parts)
		if err != nil {
			return c, fmt.Errorf("message %d: %w", i, err)
		}
		c.messages = append(c.messages, d)
	}
	if t.tools != "" {
		if c.tools, err = jinja.FromJSON([]byte(t.tools)); err != nil {
			return c, fmt.Errorf("tools: %w", err)
		}
	}
	return c, nil
}

func (t *Template) renderOwn(messages []Message, answer bool) (r rendered, err error) {
	c, err := t.values(messages)
	if err != nil {
		return r, err
	}
	return t.renderValues(c, answer)
}

// renderValues writes a conversation with the folder's template, and takes only those special tokens for
// special that the template wrote itself.
func (t *Template) renderValues(c conversation, answer bool) (r rendered, err error) {
	tok := t.tok
	list := &jinja.List{}
	for _, m := range c.messages {
		list.Items = append(list.Items, m)
	}
	given := jinja.Pairs("messages", list, "tools", c.tools)
	seal := newSeal(tok, given)
	// Transformers gives these to every template, tools and documents as None.
	values := jinja.Pairs()
	for _, e := range given.Entries() {
		sealed, err := seal.value(e.Value)
		if err != nil {
			return r, err
		}
		values.Set(e.Key.(string), sealed)
	}
	values.Set("documents", nil)
	values.Set("add_generation_prompt", answer)
	for _, t := range t.own.tokens {
		values.Set(t.Key.(string), t.Value)
	}
	out, err := t.program().Render(context.Background(), values,
		jinja.Options{Now: t.own.now, Sealed: seal.originals()})
	if err != nil {
		return r, err
	}
	r.displaced = out.Displaced
	w := writer{tok: tok}
	var places []place
	rest, at := out.Text, 0
	for _, p := range tok.SplitSpecial(out.Text) {
		skipped := strings.Index(rest, p.Text) // spaces that belong to a token
		at += skipped
		rest = rest[skipped+len(p.Text):]
		places = append(places, place{at, len(w.parts), p})
		at += len(p.Text)
		if p.Special {
			w.id(p.ID, true)
		} else {
			w.text(seal.open(p.Text))
		}
	}
	r.parts = w.parts
	for _, s := range out.Generated {
		r.generated = append(r.generated,
			Span{border(places, s.From, len(w.parts), seal), border(places, s.To, len(w.parts), seal)})
	}
	return r, nil
}

// place is where a part stands in a template's output.
type place struct {
	at   int // bytes before it
	part int
	tokenizer.Part
}

// border finds the place of an offset among the parts. Between two parts it is before the
// second, and so within what a token takes of the space around it.
func border(places []place, at, parts int, seal *seal) Border {
	for _, p := range places {
		switch {
		case at <= p.at || p.Special && at < p.at+len(p.Text):
			return Border{p.part, 0}
		case at < p.at+len(p.Text):
			return Border{p.part, len(seal.open(p.Text[:at-p.at]))}
		}
	}
	return Border{parts, 0}
}
