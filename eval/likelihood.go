package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

// question is a context and the answers whose likelihood behind it is wanted, as tokens.
type question struct {
	id      string // for messages
	context []int32
	answers [][]int32
}

// ask makes a question. An answer's tokens are those of the prompt with it, behind as many as
// the prompt alone has: a tokenizer may join the two. BOS stands in front, if there is one.
func ask(tok tokenizer.Tokenizer, id, prompt string, answers []string) (question, error) {
	q := question{id: id, context: tokenizer.EncodeWithBOS(tok, prompt)}
	for _, a := range answers {
		whole := tokenizer.EncodeWithBOS(tok, prompt+a)
		if len(whole) <= len(q.context) {
			return question{}, fmt.Errorf("eval: %s: the answer %.40q adds no token to the prompt", id, a)
		}
		q.answers = append(q.answers, whole[len(q.context):])
	}
	return q, nil
}

// row is a text that the model reads, and what is looked up in it.
type row struct {
	ids     []int32
	context int // tokens before the answers: a shared beginning ends there at the latest
	queries []llama.Query
	owner   []place // of each query
}

// place is an answer of a question.
type place struct{ question, answer int }

// rows are the texts that answer a question. The last token of an answer is predicted and not
// read, so that answers which differ in it alone need one text, and so does an answer whose
// tokens before the last begin another. Contexts that do not fit are cut on the left, as
// lm-evaluation-harness cuts them.
func (q question) rows(number, positions int) (all []row, err error) {
	order := make([]int, len(q.answers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(q.answers[b]) - len(q.answers[a]) })
	for _, i := range order {
		answer := q.answers[i]
		if len(answer) > positions {
			return nil, fmt.Errorf("eval: %s: an answer has %d tokens, the model %d positions", q.id, len(answer),
				positions)
		}
		read := slices.Concat(q.context, answer[:len(answer)-1])
		cut := max(0, len(read)-positions)
		read, context := read[cut:], len(q.context)-cut
		at := slices.IndexFunc(all, func(r row) bool {
			return r.context == context && len(r.ids) >= len(read) && slices.Equal(r.ids[:len(read)], read)
		})
		if at < 0 {
			all = append(all, row{ids: read, context: context})
			at = len(all) - 1
		}
		for k, token := range answer {
			all[at].queries = append(all[at].queries, llama.Query{After: context + k, Token: token})
			all[at].owner = append(all[at].owner, place{number, i})
		}
	}
	return all, nil
}

// likelihoods gives, for each question, its answers' log-likelihoods in nats. done is told the
// questions that are answered, a few at a time.
func likelihoods(
	ctx context.Context, m *llama.Model, questions []question, batchTokens int,
	done func(questions []int, values [][]float64) error,
) error {
	values := make([][]float64, len(questions))
	left := make([]int, len(questions)) // rows that a question still waits for
	var all []row
	for n, q := range questions {
		rows, err := q.rows(n, m.Config.MaxPositions)
		if err != nil {
			return err
		}
		values[n], left[n] = make([]float64, len(q.answers)), len(rows)
		all = append(all, rows...)
	}
	for _, b := range batches(all, batchTokens) {
		texts, queries := make([][]int32, len(b.rows)), make([][]llama.Query, len(b.rows))
		for i, r := range b.rows {
			texts[i], queries[i] = r.ids[b.shared:], r.queries
		}
		answers, err := m.LogProbs(ctx, b.rows[0].ids[:b.shared], texts, queries)
		if err != nil {
			return err
		}
		var ready []int
		for i, r := range b.rows {
			for k, a := range answers[i] {
				values[r.owner[k].question][r.owner[k].answer] += a.LogProb
			}
			n := r.owner[0].question
			if left[n]--; left[n] == 0 {
				ready = append(ready, n)
			}
		}
		var of [][]float64
		for _, n := range ready {
			of = append(of, values[n])
		}
		if err := done(ready, of); err != nil {
			return err
		}
	}
	return nil
}

// batch is rows that are computed together, behind a beginning that they share.
type batch struct {
	rows   []row
	shared int // tokens
}

// tokens is what a batch computes, padding included.
func (b batch) tokens() int {
	longest := 0
	for _, r := range b.rows {
		longest = max(longest, len(r.ids))
	}
	return b.shared + len(b.rows)*(longest-b.shared)
}

// with is the batch and one more row.
func (b batch) with(r row) batch {
	if len(b.rows) == 0 {
		return batch{[]row{r}, 0}
	}
	first := b.rows[0]
	most := min(first.context, r.context)
	if len(b.rows) > 1 {
		most = min(most, b.shared)
	}
	shared := 0
	for shared < most && first.ids[shared] == r.ids[shared] {
		shared++
	}
	return batch{append(slices.Clip(b.rows), r), shared}
}

// batches puts rows together as long as that computes no more tokens than apart, and not too
// many at once. Where neighbors have little in common, rows of a length stand together.
func batches(rows []row, most int) (all []batch) {
	common, total := 0, 0
	for i := 1; i < len(rows); i++ {
		common += batch{}.with(rows[i-1]).with(rows[i]).shared
		total += len(rows[i].ids)
	}
	if 4*common < total {
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b row) int { return len(a.ids) - len(b.ids) })
	}
	var b batch
	for _, r := range rows {
		next := b.with(r)
		// A tenth of padding costs less than a product of few rows.
		if n := next.tokens(); len(b.rows) > 0 && (n > most || 10*n > 11*(b.tokens()+len(r.ids))) {
			all = append(all, b)
			next = batch{}.with(r)
		}
		b = next
	}
	if len(b.rows) > 0 {
		all = append(all, b)
	}
	return all
}
