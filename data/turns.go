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
}

// encodeChat writes a conversation as the model's template does. The answers are what
// the template adds to a question: all behind what generation would start from, to
// the special token that ends the turn. A message of weight 0 does not count, with the
// loss on all tokens either.
func encodeChat(tok tokenizer.Tokenizer, template *chat.Template, r Row, loss Loss) (encoded, error) {
	if template == nil {
		return encoded{}, errors.New("want a chat template for a row of chat, got none")
	}
	parts, err := template.Parts(r.Messages, false)
	if err != nil {
		return encoded{}, err
	}
	turns, err := findTurns(template, r, parts, loss)
	if err != nil {
		return encoded{}, err
	}
	return encodeTurns(tok.(tokenizer.PartEncoder), parts, turns, loss == LossAll), nil
}

// findTurns renders the conversation up to each message that counts otherwise than what is
// around it, and behind it: the answers, or with the loss on all the messages of weight 0.
// Both must be beginnings of the whole: then a model that has the one before an answer can
// write the other.
func findTurns(template *chat.Template, r Row, whole []tokenizer.Part, loss Loss) ([]turn, error) {
	var turns []turn
	answers := 0
	for i, m := range r.Messages {
		counts := r.UncountedMessages == nil || !r.UncountedMessages[i]
		what, unless := fmt.Sprintf("message %d, of weight 0,", i+1), ""
		switch {
		case loss == LossAll && counts || loss != LossAll && m.Role != "assistant":
			continue
		case loss != LossAll:
			answers++
			what, unless = fmt.Sprintf("answer %d", answers), "; with the loss on all tokens it need not be"
		}
		from, to, err := bordersOf(template, r.Messages, i, whole)
		if e, ok := errors.AsType[*untold](err); ok {
			err = fmt.Errorf("%w, so where %s begins and ends cannot be told%s", e, what, unless)
		}
		switch {
		case err == nil:
			turns = append(turns, turn{from, to, counts})
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
	return fmt.Sprintf("the template %s writes the first %d messages of %d otherwise than alone", e.template, e.first, e.many)
}

// bordersOf are where message i begins, behind what generation would start from if it is an
// answer, and where it ends.
func bordersOf(template *chat.Template, messages []chat.Message, i int, whole []tokenizer.Part) (from, to border, err error) {
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
	if to.part > from.part && to.at > 0 && whole[to.part-1].Special && strings.TrimSpace(whole[to.part].Text[:to.at]) == "" {
		to.at = 0
	}
	return to
}

// encodeTurns encodes parts whole if the borders of the answers fall between tokens, as
// they do in most templates. Where a token would reach across, parts are cut there:
// generation starts from whole tokens too. rest says whether what is around the turns counts.
func encodeTurns(tok tokenizer.PartEncoder, parts []tokenizer.Part, turns []turn, rest bool) encoded {
	var borders []border
	for _, t := range turns {
		borders = append(borders, t.from, t.to)
	}
	ids := tok.EncodeParts(parts)
	at, ok := places(tok, parts, ids, borders)
	if !ok {
		parts, borders = cutAt(parts, borders)
		ids = tok.EncodeParts(parts)
		at, _ = places(tok, parts, ids, borders)
	}
	e := encoded{ids: ids, target: make([]bool, len(ids)), last: len(ids)}
	for t := range e.target {
		e.target[t] = rest
	}
	for i, turn := range turns {
		from, to := at[2*i], at[2*i+1]
		if turn.counts {
			e.last = from
		}
		for t := from; t < to; t++ {
			e.target[t] = turn.counts
		}
	}
	return e
}

// places are the numbers of the ids at borders; not ok if one is within an id.
func places(tok tokenizer.PartEncoder, parts []tokenizer.Part, ids []int32, borders []border) (at []int, ok bool) {
	ok = true
	for _, b := range borders {
		head := slices.Clone(parts[:b.part])
		if b.at > 0 {
			head = append(head, tokenizer.Part{Text: parts[b.part].Text[:b.at]})
		}
		before := tok.EncodeParts(head)
		ok = ok && len(before) <= len(ids) && slices.Equal(before, ids[:len(before)])
		at = append(at, len(before))
	}
	return at, ok
}

// cutAt makes borders of parts of all borders, which are in order.
func cutAt(parts []tokenizer.Part, borders []border) ([]tokenizer.Part, []border) {
	var out []tokenizer.Part
	var moved []border
	for i, p := range parts {
		done := 0
		for len(borders) > 0 && borders[0].part == i {
			if at := borders[0].at; at > done {
				out = append(out, tokenizer.Part{Text: p.Text[done:at]})
				done = at
			}
			moved, borders = append(moved, border{len(out), 0}), borders[1:]
		}
		if p.Special || done < len(p.Text) {
			p.Text = p.Text[done:]
			out = append(out, p)
		}
	}
	for range borders { // behind the last part
		moved = append(moved, border{len(out), 0})
	}
	return out, moved
}
