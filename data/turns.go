package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// border is a place in a rendered conversation: in a part, and in that part's text.
type border struct{ part, at int }

// turn is what one message says in a rendered conversation.
type turn struct {
	from, to border
	counts   bool // in the loss
	open     bool // an answer that no special token ends
}

// encodeChat writes a conversation as the model's template does. The answers are what
// the template adds to a question: all behind what generation would start from, to
// the special token that ends the turn. Where none does, EOS is what follows an answer that
// counts, in place of what the template goes on with, and nothing else of the ids changes. A
// message of weight 0 does not count, with the loss on all tokens either.
func encodeChat(tok tokenizer.Tokenizer, template *chat.Template, r Row, loss Loss) (encoded, error) {
	if template == nil {
		return encoded{}, errors.New("want a chat template for a row of chat, got none")
	}
	template = template.WithTools(r.Tools).WithParts(r.Messages)
	if err := template.CheckLost(r.Messages); err != nil {
		return encoded{}, err
	}
	parts, err := template.Parts(r.Messages, false)
	if err != nil {
		return encoded{}, err
	}
	turns, err := findTurns(template, r, parts, loss)
	if err != nil {
		return encoded{}, err
	}
	e := encodeTurns(tok.(tokenizer.PartEncoder), parts, turns, loss == LossAll)
	if last := len(r.Messages) - 1; loss == LossAll && r.Messages[last].Role == "assistant" && !endsWithSpecial(parts) {
		counts := r.UncountedMessages == nil || !r.UncountedMessages[last]
		turns = append(turns, turn{counts: counts, open: true})
		e.behindTurn = append(e.behindTurn, len(e.ids))
	}
	return e, e.endOpen(tok, template, turns)
}

// ChatPrompt gives the ids of a conversation that an answer follows, as training has them:
// where a token would reach across a border between an answer and what is around it, the
// template's text is cut there.
func ChatPrompt(tok tokenizer.Tokenizer, template *chat.Template, messages []chat.Message) ([]int32, error) {
	if tok == nil || template == nil {
		return nil, errors.New("data: want a tokenizer and a template for a chat, got nil")
	}
	template = template.WithParts(messages)
	parts, err := template.Parts(messages, true)
	if err != nil {
		return nil, err
	}
	var turns []turn
	if template.Generates() {
		var spans []chat.Span
		if parts, spans, err = template.Generated(messages, true); err != nil {
			return nil, err
		}
		for _, s := range spans {
			turns = append(turns, turnOf(s))
		}
		return encodeTurns(tok.(tokenizer.PartEncoder), parts, turns, false).ids, nil
	}
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		from, to, err := bordersOf(template, messages, i, parts)
		if err != nil { // such a conversation is nothing that training takes
			return template.Encode(messages, true)
		}
		turns = append(turns, turn{from: from, to: to})
	}
	return encodeTurns(tok.(tokenizer.PartEncoder), parts, turns, false).ids, nil
}

// endOpen teaches the answers that no special token ends to end by EOS.
func (e *encoded) endOpen(tok tokenizer.Tokenizer, template *chat.Template, turns []turn) error {
	for i, t := range turns {
		if !t.counts || !t.open {
			continue
		}
		eos, ok := tok.EOS()
		if !ok {
			return fmt.Errorf("want a token that ends an answer (EOS): the template %s ends it with no special "+
				"token, and neither the tokenizer's files nor the model's name one (--eos-token)", template.Name())
		}
		at := e.behindTurn[i]
		if at == len(e.ids) {
			e.ids, e.target = append(e.ids, eos), append(e.target, true)
			continue
		}
		if e.ends == nil {
			e.ends, e.eos = make([]bool, len(e.ids), len(e.ids)+1), eos
		}
		e.ends[at] = true
	}
	if e.ends != nil && len(e.ends) < len(e.ids) {
		e.ends = append(e.ends, false)
	}
	return nil
}

// findTurns renders the conversation up to each message that counts otherwise than what is
// around it, and behind it: the answers, or with the loss on all the messages of weight 0.
// Both must be beginnings of the whole: then a model that has the one before an answer can
// write the other.
func findTurns(template *chat.Template, r Row, whole []tokenizer.Part, loss Loss) ([]turn, error) {
	if loss != LossAll && template.Generates() {
		return generatedTurns(template, r)
	}
	var turns []turn
	answers := 0
	for i, m := range r.Messages {
		counts := i >= len(r.UncountedMessages) || !r.UncountedMessages[i]
		what, unless := fmt.Sprintf("message %d, of weight 0,", i+1), ""
		switch {
		case loss == LossAll && counts || loss != LossAll && m.Role != "assistant":
			continue
		case loss != LossAll:
			answers++
			what, unless = fmt.Sprintf("answer %d", answers), "; with the loss on all tokens it need not be"
		}
		t := turn{counts: counts}
		var err error
		t.from, t.to, err = bordersOf(template, r.Messages, i, whole)
		t.open = m.Role == "assistant" && !endsSpecial(whole, t)
		if e, ok := errors.AsType[*untold](err); ok {
			err = fmt.Errorf("%w, so where %s begins and ends cannot be told%s", e, what, unless)
		}
		switch {
		case err == nil:
			turns = append(turns, t)
		case counts || loss == LossAll: // else it need not be known
			return nil, err
		}
	}
	return turns, nil
}

// untold is the error of a template that writes a beginning of the messages otherwise than
// all of them.
type untold struct {
	template    string
	first, many int
}

func (e *untold) Error() string {
	return fmt.Sprintf("the template %s writes the first %d messages of %d otherwise than alone", e.template, e.first,
		e.many)
}

// bordersOf are where message i begins, behind what generation would start from if it is an
// answer, and where it ends.
func bordersOf(
	template *chat.Template, messages []chat.Message, i int, whole []tokenizer.Part,
) (from, to border, err error) {
	answer := messages[i].Role == "assistant"
	if i == 0 && answer {
		return from, to, errors.New("message 0: want a question before the first answer, got role assistant")
	}
	var before []tokenizer.Part
	if i > 0 {
		if before, err = template.Parts(messages[:i], answer); err != nil {
			return from, to, err
		}
	}
	behind := whole
	if i+1 < len(messages) {
		if behind, err = template.Parts(messages[:i+1], false); err != nil {
			return from, to, err
		}
	}
	from, ok := beginning(before, whole)
	if !ok {
		return from, to, &untold{template.Name(), i, len(messages)}
	}
	if to, ok = beginning(behind, whole); !ok {
		return from, to, &untold{template.Name(), i + 1, len(messages)}
	}
	return from, endOfTurn(whole, from, to), nil
}

// beginning is where part ends in whole, if whole begins with it.
func beginning(part, whole []tokenizer.Part) (border, bool) {
	if len(part) == 0 {
		return border{}, true
	}
	last := len(part) - 1
	if len(part) > len(whole) || !slices.Equal(part[:last], whole[:last]) {
		return border{}, false
	}
	p, w := part[last], whole[last]
	switch {
	case p == w:
		return border{last + 1, 0}, true
	case p.Special || w.Special || !strings.HasPrefix(w.Text, p.Text):
		return border{}, false
	}
	return border{last, len(p.Text)}, true
}

// endOfTurn moves the end of a turn forward to the special token that ends it: nobody
// generates the space that some templates write behind it.
func endOfTurn(whole []tokenizer.Part, from, to border) border {
	if to.at == 0 && to.part > 0 && !whole[to.part-1].Special {
		to = border{to.part - 1, len(whole[to.part-1].Text)}
	}
	if to.part > from.part && to.at > 0 && whole[to.part-1].Special &&
		strings.TrimSpace(whole[to.part].Text[:to.at]) == "" {
		to.at = 0
	}
	return to
}

// endsSpecial reports whether a special token ends the turn.
func endsSpecial(whole []tokenizer.Part, t turn) bool {
	return t.to.at == 0 && t.to.part > t.from.part && whole[t.to.part-1].Special
}

// endsWithSpecial reports whether nobody says anything after the last special token of parts.
func endsWithSpecial(parts []tokenizer.Part) bool {
	n := len(parts)
	if n > 0 && !parts[n-1].Special && strings.TrimSpace(parts[n-1].Text) == "" {
		n--
	}
	return n > 0 && parts[n-1].Special
}

// encodeTurns encodes parts whole if the borders of the answers fall between tokens, as
// they do in most templates. Where a token would reach across a border, parts are cut there:
// generation starts from whole tokens too. What is cut depends on nothing behind the next
// border, so that a conversation which goes on keeps its ids. rest says whether what is around
// the turns counts.
func encodeTurns(tok tokenizer.PartEncoder, parts []tokenizer.Part, turns []turn, rest bool) encoded {
	var borders []border
	for _, t := range turns {
		borders = append(borders, t.from, t.to)
	}
	ids, at := cutEncode(tok, parts, borders)
	e := encoded{ids: ids, target: make([]bool, len(ids)), last: len(ids)}
	for t := range e.target {
		e.target[t] = rest
	}
	for i, turn := range turns {
		from, to := at[2*i], at[2*i+1]
		e.behindTurn = append(e.behindTurn, to)
		if turn.counts {
			e.last = from
		}
		for t := from; t < to; t++ {
			e.target[t] = turn.counts
		}
	}
	return e
}

// cutEncode gives the ids of parts, cut where a token would reach across one of the borders,
// which are in order, and the numbers of the ids at the borders.
func cutEncode(tok tokenizer.PartEncoder, parts []tokenizer.Part, borders []border) (ids []int32, at []int) {
	var done []tokenizer.Part // up to the last border that was cut
	var before []int32        // the ids up to the last border, encoded from the last cut on
	begin, last := border{}, border{}
	upTo := func(to border) []int32 {
		return tok.EncodeParts(slices.Concat(done, between(parts, begin, to)))
	}
	for i := 0; i <= len(borders); i++ {
		next := border{len(parts), 0}
		if i < len(borders) {
			next = borders[i]
		}
		ids = upTo(next)
		if i > 0 && (len(before) > len(ids) || !slices.Equal(before, ids[:len(before)])) {
			done = append(done, between(parts, begin, last)...)
			begin = last
			ids = upTo(next)
		}
		if i < len(borders) {
			at = append(at, len(ids))
		}
		before, last = ids, next
	}
	return ids, at
}

// between are the parts from one border to another.
func between(parts []tokenizer.Part, from, to border) []tokenizer.Part {
	var out []tokenizer.Part
	for i := from.part; i <= to.part && i < len(parts); i++ {
		p := parts[i]
		begin, end := 0, len(p.Text)
		if i == from.part {
			begin = from.at
		}
		if i == to.part {
			end = to.at
		}
		switch {
		case p.Special && i < to.part:
			out = append(out, p)
		case !p.Special && begin < end:
			out = append(out, tokenizer.Part{Text: p.Text[begin:end]})
		}
	}
	return out
}
