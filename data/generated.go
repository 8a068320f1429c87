package data

import (
	"fmt"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// generatedTurns are what a template marks by {% generation %}: what it holds counts, the
// special token that ends an answer if that stands in it, and nothing else, as in the
// assistant's mask of transformers. One block an answer, and a weight is that answer's; where
// the numbers differ, weights belong to nothing that is known.
func generatedTurns(template *chat.Template, r Row) ([]turn, error) {
	_, spans, err := template.Generated(r.Messages, false)
	if err != nil {
		return nil, err
	}
	var answers []int
	uncounted := false
	for i, m := range r.Messages {
		if m.Role == "assistant" {
			answers = append(answers, i)
		}
		uncounted = uncounted || i < len(r.UncountedMessages) && r.UncountedMessages[i]
	}
	if uncounted && len(spans) != len(answers) {
		return nil, fmt.Errorf("want a generation block for each of %d answers, as some have the weight 0, got %d of "+
			"the template %s", len(answers), len(spans), template.Name())
	}
	var turns []turn
	for i, s := range spans {
		t := turnOf(s)
		t.counts = !uncounted || answers[i] >= len(r.UncountedMessages) || !r.UncountedMessages[answers[i]]
		turns = append(turns, t)
	}
	return turns, nil
}

func turnOf(s chat.Span) turn {
	return turn{from: border{s.From.Part, s.From.At}, to: border{s.To.Part, s.To.At}}
}
