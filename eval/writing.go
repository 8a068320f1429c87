package eval

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tokenizer"
)

// writing is a Task whose examples the model answers in its own words, greedily: GSM8K.
type writing struct {
	name     string
	examples []tasks.Example
}

// maxWritten is the tokens of an answer at most, as in lm-evaluation-harness.
const maxWritten = 256

// Name implements Task.
func (w writing) Name() string { return w.name }

// Run implements Task. The likelihood of the solution that the data set gives is measured, too.
func (w writing) Run(ctx context.Context, s Subject, o Options) (Report, error) {
	start := time.Now()
	examples := limited(w.name, w.examples, o)
	results, todo := o.pending(w.name, examples)
	room := min(maxWritten, s.Model.Config.MaxPositions/2)
	prompts := make([][]int32, len(todo))
	for n, i := range todo {
		ids := tokenizer.EncodeWithBOS(s.Tokenizer, examples[i].Prompt)
		prompts[n] = ids[max(0, len(ids)+room-s.Model.Config.MaxPositions):]
	}
	done := len(examples) - len(todo)
	for from := 0; from < len(todo); {
		to, longest := from, 0
		for to < len(todo) { // rows of a batch wait for each other
			n := max(longest, len(prompts[to])+room)
			if to > from && (to-from+1)*n > o.batchTokens() {
				break
			}
			longest, to = n, to+1
		}
		texts, err := write(ctx, s, prompts[from:to], room)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", w.name, err)
		}
		for n, text := range texts {
			i := todo[from+n]
			e := examples[i]
			number, _ := tasks.FinalNumber(text)
			last, _ := tasks.LastNumber(text)
			results[i] = Result{
				Task: w.name, ID: e.ID, Predicted: -1, Gold: -1, Written: text,
				Correct: number == e.Number, Flexible: last == e.Number,
			}
		}
		if err := w.measureSolutions(ctx, s, examples, todo[from:to], results, o); err != nil {
			return Report{}, fmt.Errorf("%s: %w", w.name, err)
		}
		if done += to - from; o.Progress != nil {
			o.Progress(done, len(examples))
		}
		from = to
	}
	strict, flexible := make([]float64, len(results)), make([]float64, len(results))
	for i, r := range results {
		strict[i], flexible[i] = isTrue(r.Correct), isTrue(r.Flexible)
	}
	return Report{
		Task: w.name, Examples: len(examples), Seconds: since(start),
		Scores: []Score{mean("exact_match", strict), mean("flexible_match", flexible), answerNLL(results)},
	}, nil
}

// measureSolutions adds the likelihoods of the given solutions, and records the results.
func (w writing) measureSolutions(
	ctx context.Context, s Subject, examples []tasks.Example, todo []int, results []Result, o Options,
) error {
	var questions []question
	for _, i := range todo {
		q, err := ask(s.Tokenizer, examples[i].ID, examples[i].Prompt, []string{examples[i].Answer})
		if err != nil {
			return err
		}
		questions = append(questions, q)
	}
	return likelihoods(ctx, s.Model, questions, o.batchTokens(), func(ready []int, values [][]float64) error {
		for k, n := range ready {
			r := &results[todo[n]]
			r.NLL, r.Tokens = -values[k][0], len(questions[n].answers[0])
			if o.Record != nil {
				if err := o.Record(*r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// write continues prompts until a stop string or EOS.
func write(ctx context.Context, s Subject, prompts [][]int32, room int) ([]string, error) {
	texts, ended := make([]string, len(prompts)), make([]bool, len(prompts))
	stoppers := make([]*tokenizer.Stopper, len(prompts))
	stops := s.Model.Config.EOS
	if eos, ok := s.Tokenizer.EOS(); ok && !slices.Contains(stops, eos) {
		stops = append(slices.Clip(stops), eos)
	}
	for r, prompt := range prompts {
		d := tokenizer.NewDecoder(s.Tokenizer)
		for _, id := range prompt {
			d.Push(id)
		}
		stoppers[r] = tokenizer.NewStopper(d, tasks.StopsGSM8K...)
	}
	for next, err := range s.Model.GenerateBatch(ctx, prompts, llama.GenerateOptions{MaxTokens: room, StopIDs: stops}) {
		if err != nil {
			return nil, err
		}
		for r, id := range next {
			if id < 0 || ended[r] {
				continue
			}
			if slices.Contains(stops, id) {
				ended[r] = true
				texts[r] += stoppers[r].Flush()
				continue
			}
			text, stopped := stoppers[r].Push(id)
			texts[r] += text
			ended[r] = stopped
		}
		if !slices.Contains(ended, false) {
			break
		}
	}
	for r := range texts {
		if !ended[r] {
			texts[r] += stoppers[r].Flush()
		}
	}
	return texts, nil
}
