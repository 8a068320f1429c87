package chat

import (
	"context"
	"strings"
	"time"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/tokenizer"
)

// A template is a program that came with the model. Package jinja renders it as
// transformers renders it, and bounds what it may use.
type ownTemplate struct {
	parsed *jinja.Template
	tokens []jinja.Entry // bos_token and the others that a folder names
	now    time.Time
}

func newOwn(source string, config *tokenizer.Config, tok tokenizer.Tokenizer) (*ownTemplate, error) {
	parsed, err := jinja.Parse("", source) // the caller knows its name
	if err != nil {
		return nil, err
	}
	o := &ownTemplate{parsed: parsed, now: time.Now()}
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

// rendered is a conversation as a template wrote it.
type rendered struct {
	parts     []tokenizer.Part
	generated []Span
	displaced bool // a generation block stood where its place is not known
}

// render writes the messages with the template, and takes only those special tokens for
// special that the template wrote itself.
func (o *ownTemplate) render(tok tokenizer.PartEncoder, messages []Message, answer bool) (r rendered, err error) {
	list := &jinja.List{}
	for _, m := range messages {
		list.Items = append(list.Items, jinja.Pairs("role", m.Role, "content", m.Content))
	}
	seal := newSeal(tok, list)
	sealed, err := seal.value(list)
	if err != nil {
		return r, err
	}
	// Transformers gives these to every template, tools and documents as None.
	values := jinja.Pairs("messages", sealed, "tools", nil, "documents", nil, "add_generation_prompt", answer)
	for _, t := range o.tokens {
		values.Set(t.Key.(string), t.Value)
	}
	out, err := o.parsed.Render(context.Background(), values, jinja.Options{Now: o.now, Sealed: seal.originals()})
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
