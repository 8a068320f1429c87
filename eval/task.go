package eval

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tokenizer"
)

// Task is something that a model can be measured on.
type Task interface {
	Name() string
	// Run measures. What it reports does not depend on how examples are batched, but for the
	// rounding of sums.
	Run(ctx context.Context, s Subject, o Options) (Report, error)
}

// Subject is who is measured.
type Subject struct {
	Model     *llama.Model
	Tokenizer tokenizer.Tokenizer
}

// Options say how a Task runs. The zero value measures all examples.
type Options struct {
	Limit       int // examples at most, of MMLU in each subject, the first ones; 0: all
	BatchTokens int // tokens that are computed at once; 0: 4096

	// Done gives the result of an example that an earlier run has measured; nil: none.
	Done func(task, id string) (Result, bool)
	// Record is told every example that this run has measured, in no order; nil: nobody.
	Record func(Result) error
	// Progress is told how many of the examples are done; nil: nobody.
	Progress func(done, all int)
}

// Result is one example, measured.
type Result struct {
	Task string `json:"task"`
	ID   string `json:"id"` // file:row, see tasks.Example

	LogLikelihoods []float64 `json:"log_likelihoods,omitempty"` // nats, of each choice
	Predicted      int       `json:"predicted"`                 // the first choice of the largest; -1: written freely
	Gold           int       `json:"gold"`                      // the right choice
	Written        string    `json:"written,omitempty"`         // of an answer that is written freely
	Correct        bool      `json:"correct"`
	Flexible       bool      `json:"flexible,omitempty"` // of a free answer: its last number is the right one
	NLL            float64   `json:"nll"`                // nats of the right answer, all of its tokens
	Tokens         int       `json:"tokens"`             // of the right answer
}

// Report is what came out.
type Report struct {
	Task     string           `json:"task"`
	Examples int              `json:"examples"`
	Scores   []Score          `json:"scores"` // the main one first
	Groups   map[string]Score `json:"groups,omitempty"`
	Seconds  float64          `json:"seconds"`
}

// Score is a mean over examples, with the standard error of that mean.
type Score struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	StdErr float64 `json:"stderr"` // 0 where it makes no sense, as of a majority
	N      int     `json:"n"`      // what it is a mean of
}

// NewTask makes a Task of a data set's examples.
func NewTask(name string, examples []tasks.Example) (Task, error) {
	if _, err := tasks.Find(name); err != nil {
		return nil, err
	}
	for _, e := range examples {
		if (e.Choices == nil) != (name == "gsm8k") {
			return nil, fmt.Errorf("eval: task %s: %s is no example of it", name, e.ID)
		}
	}
	if name == "gsm8k" {
		return writing{name, examples}, nil
	}
	return choosing{name, examples}, nil
}

// limited are the first examples, of MMLU those of each subject.
func limited(task string, examples []tasks.Example, o Options) []tasks.Example {
	if o.Limit <= 0 {
		return examples
	}
	var first []tasks.Example
	taken := map[string]int{}
	for _, e := range examples {
		subject := ""
		if task == "mmlu" {
			subject = e.Group
		}
		if taken[subject]++; taken[subject] <= o.Limit {
			first = append(first, e)
		}
	}
	return first
}

// pending parts examples into results of an earlier run and those still to do; both keep the
// examples' places.
func (o Options) pending(task string, examples []tasks.Example) (results []Result, todo []int) {
	results = make([]Result, len(examples))
	for i, e := range examples {
		if o.Done != nil {
			if r, ok := o.Done(task, e.ID); ok {
				results[i] = r
				continue
			}
		}
		todo = append(todo, i)
	}
	return results, todo
}

func (o Options) batchTokens() int {
	if o.BatchTokens > 0 {
		return o.BatchTokens
	}
	return 4096
}

// mean is a score of independent examples: sd / √n, as lm-evaluation-harness has it.
func mean(name string, values []float64) Score {
	s := Score{Name: name, N: len(values)}
	for _, v := range values {
		s.Value += v / float64(len(values))
	}
	if len(values) < 2 {
		return s
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - s.Value) * (v - s.Value)
	}
	n := float64(len(values))
	s.StdErr = math.Sqrt(squares / (n - 1) / n)
	return s
}

// jackknife is a score that is no mean over examples: its error comes from leaving out one
// group at a time (Tukey), since the examples of a group are no independent ones.
func jackknife(name string, groups int, score func(without int) float64) Score {
	s := Score{Name: name, Value: score(-1), N: groups}
	if groups < 2 {
		return s
	}
	n, sum, squares := float64(groups), 0.0, 0.0
	for g := range groups {
		v := score(g)
		sum += v
		squares += v * v
	}
	s.StdErr = math.Sqrt(max(0, (n-1)/n*(squares-sum*sum/n)))
	return s
}

func isTrue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// answerNLL is the mean of a token of the right answers, in nats. Long answers count more, so that
// the error is a jackknife's.
func answerNLL(results []Result) Score {
	nll, tokens := 0.0, 0
	for _, r := range results {
		nll += r.NLL
		tokens += r.Tokens
	}
	return jackknife("nll", len(results), func(without int) float64 {
		if without < 0 {
			return nll / float64(max(1, tokens))
		}
		r := results[without]
		return (nll - r.NLL) / float64(max(1, tokens-r.Tokens))
	})
}

func since(start time.Time) float64 { return time.Since(start).Seconds() }
