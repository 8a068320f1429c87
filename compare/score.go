package compare

import (
	"context"
	"fmt"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

// TaskScore is how well a task is done.
type TaskScore struct {
	Task    string  `json:"task"`
	Loss    float64 `json:"loss"`              // nats a token of the right answers
	Exact   float64 `json:"exact"`             // share of right answers
	Letters float64 `json:"letters,omitempty"` // share of letters in their place, of answers that are written
}

// value is the score by a measure.
func (s TaskScore) value(m Measure) float64 {
	return asked(m, s.Letters, s.Exact, s.Loss)
}

// asked is what a measure asks for.
func asked[T any](m Measure, letters, exact, loss T) T {
	switch m {
	case Letters:
		return letters
	case Exact:
		return exact
	}
	return loss
}

// Mean is the mean over tasks, each counting as much.
func Mean(scores []TaskScore, m Measure) float64 {
	sum := 0.0
	for _, s := range scores {
		sum += s.value(m)
	}
	return sum / float64(max(1, len(scores)))
}

// atOnce is how many rows are measured at once.
const atOnce = 128

func (e *Experiment) rowsAtOnce() int {
	if e.Train.MicroRows > 0 {
		return min(e.Train.MicroRows, atOnce)
	}
	return atOnce
}

// validation is the mean over tasks of the loss on the validation rows.
func (m *material) validation(ctx context.Context, model *llama.Model, rows int) (float64, error) {
	sum := 0.0
	for _, t := range m.tasks {
		loss, err := train.Evaluate(ctx, model, data.Batches(t.validation, rows))
		if err != nil {
			return 0, fmt.Errorf("task %s: %w", t.name, err)
		}
		sum += loss
	}
	return sum / float64(len(m.tasks)), nil
}

// scores measures every task on its test rows.
func (m *material) scores(ctx context.Context, model *llama.Model, rows, limit int) ([]TaskScore, error) {
	var all []TaskScore
	for _, t := range m.tasks {
		measure := t.write
		if t.known != nil {
			measure = func(ctx context.Context, s eval.Subject, _ int) (TaskScore, error) {
				return t.choose(ctx, s, limit)
			}
		}
		s, err := measure(ctx, eval.Subject{Model: model, Tokenizer: m.tok}, rows)
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", t.name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// isKnown reports whether a task is one whose scoring is long.
func (m *material) isKnown() bool {
	for _, t := range m.tasks {
		if t.known != nil {
			return true
		}
	}
	return false
}

// choose scores a data set as agora eval does.
func (t task) choose(ctx context.Context, s eval.Subject, limit int) (TaskScore, error) {
	report, err := t.known.Run(ctx, s, eval.Options{Limit: limit})
	if err != nil {
		return TaskScore{}, err
	}
	score := TaskScore{Task: t.name, Exact: report.Scores[0].Value}
	for _, r := range report.Scores {
		if r.Name == "nll" {
			score.Loss = r.Value
		}
	}
	return score, nil
}

// write has the model answer the test rows, as long as the longest right answer is.
func (t task) write(ctx context.Context, s eval.Subject, rows int) (TaskScore, error) {
	loss, err := train.Evaluate(ctx, s.Model, data.Batches(t.test, rows))
	if err != nil {
		return TaskScore{}, err
	}
	score := TaskScore{Task: t.name, Loss: loss}
	right, letters, all := 0, 0, 0
	for from := 0; from < len(t.written); from += rows {
		part := t.written[from:min(from+rows, len(t.written))]
		answers, err := write(ctx, s, part)
		if err != nil {
			return score, err
		}
		for i, w := range part {
			if answers[i] == w.want {
				right++
			}
			l, n := inPlace(w.want, answers[i])
			letters, all = letters+l, all+n
		}
	}
	score.Exact = float64(right) / float64(len(t.written))
	score.Letters = float64(letters) / float64(max(1, all))
	return score, nil
}

func write(ctx context.Context, s eval.Subject, rows []written) ([]string, error) {
	prompts, most := make([][]int32, len(rows)), 0
	for i, w := range rows {
		prompts[i], most = w.prompt, max(most, w.tokens)
	}
	ids := make([][]int32, len(rows))
	o := llama.GenerateOptions{MaxTokens: most, StopIDs: s.Model.Config.EOS}
	for next, err := range s.Model.GenerateBatch(ctx, prompts, o) {
		if err != nil {
			return nil, err
		}
		for i, id := range next {
			if id >= 0 {
				ids[i] = append(ids[i], id)
			}
		}
	}
	answers := make([]string, len(rows))
	for i := range rows {
		answers[i] = withoutEnd(s.Tokenizer, ids[i], s.Model.Config.EOS)
	}
	return answers, nil
}

// withoutEnd is the text of an answer, without the token that ends it.
func withoutEnd(tok tokenizer.Tokenizer, ids, ends []int32) string {
	if n := len(ids); n > 0 {
		for _, e := range ends {
			if ids[n-1] == e {
				return tok.Decode(ids[:n-1])
			}
		}
	}
	return tok.Decode(ids)
}

// inPlace counts the letters of want that stand in got where they should. What is written behind
// the last one does not count.
func inPlace(want, got string) (right, all int) {
	w, g := []rune(want), []rune(got)
	for i := range min(len(w), len(g)) {
		if w[i] == g[i] {
			right++
		}
	}
	return right, len(w)
}
