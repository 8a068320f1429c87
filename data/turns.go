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

// turn is an answer of the assistant in a rendered conversation.
type turn struct{ from, to border }

// encodeChat writes a conversation as the model's template does. The answers are what
// the template adds to a question: all behind what generation would start from, to
// the special token that ends the turn.
func encodeChat(tok tokenizer.Tokenizer, template *chat.Template, messages []chat.Message, loss Loss) (encoded, error) {
	if template == nil {
		return encoded{}, errors.New("want a chat template for a row of chat, got none")
	}
	parts, err := template.Parts(messages, false)
	if err != nil {
		return encoded{}, err
	}
	var turns []turn
	if loss != LossAll {
		if turns, err = findTurns(template, messages, parts); err != nil {
			return encoded{}, err
		}
	}
	return encodeTurns(tok.(tokenizer.PartEncoder), parts, turns), nil
}

// findTurns renders the conversation up to each answer and behind it. Both must be
// beginnings of the whole: then a model that has the one before it can write the other.
func findTurns(template *chat.Template, messages []chat.Message, whole []tokenizer.Part) ([]turn, error) {
	var turns []turn
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		if i == 0 {
			return nil, errors.New("message 0: want a question before the first answer, got role assistant")
		}
		before, err := template.Parts(messages[:i], true)
		if err != nil {
			return nil, err
		}
		behind := whole
		if i+1 < len(messages) {
			if behind, err = template.Parts(messages[:i+1], false); err != nil {
				return nil, err
			}
		}
		from, ok := beginning(before, whole)
		to, okTo := beginning(behind, whole)
		if !ok || !okTo {
			n := i
			if ok {
				n++
			}
			return nil, fmt.Errorf("the template %s writes the first %d messages of %d otherwise than alone, so where answer %d begins and ends cannot be told; with the loss on all tokens it need not be",
				template.Name(), n, len(messages), len(turns)+1)
		}
		turns = append(turns, turn{from, endOfTurn(whole, from, to)})
	}
	return turns, nil
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
// generation starts from whole tokens too.
func encodeTurns(tok tokenizer.PartEncoder, parts []tokenizer.Part, turns []turn) encoded {
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
	e := encoded{ids: ids, target: make([]bool, len(ids))}
	for i := 0; i < len(at); i += 2 {
		e.last = at[i]
		for t := at[i]; t < at[i+1]; t++ {
			e.target[t] = true
		}
	}
	if len(turns) == 0 {
		e.last = len(ids)
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
