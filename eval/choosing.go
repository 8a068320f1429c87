package eval

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/agora-ml/agora/tasks"
)

// choosing is a Task whose examples have choices: the likeliest one is the model's answer.
type choosing struct {
	name     string
	examples []tasks.Example
}

// Name implements Task.
func (c choosing) Name() string { return c.name }

// Run implements Task.
func (c choosing) Run(ctx context.Context, s Subject, o Options) (Report, error) {
	start := time.Now()
	examples := limited(c.name, c.examples, o)
	results, todo := o.pending(c.name, examples)
	questions := make([]question, len(todo))
	for n, i := range todo {
		var err error
		if questions[n], err = ask(s.Tokenizer, examples[i].ID, examples[i].Prompt, examples[i].Choices); err != nil {
			return Report{}, err
		}
	}
	done := len(examples) - len(todo)
	err := likelihoods(ctx, s.Model, questions, o.batchTokens(), func(ready []int, values [][]float64) error {
		for k, n := range ready {
			e, r := examples[todo[n]], &results[todo[n]]
			*r = Result{
				Task: c.name, ID: e.ID, LogLikelihoods: values[k], Predicted: likeliest(values[k]), Gold: e.Gold,
				NLL: -values[k][e.Gold], Tokens: len(questions[n].answers[e.Gold]),
			}
			r.Correct = r.Predicted == r.Gold
			if o.Record != nil {
				if err := o.Record(*r); err != nil {
					return err
				}
			}
		}
		if done += len(ready); o.Progress != nil && len(ready) > 0 {
			o.Progress(done, len(examples))
		}
		return nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.name, err)
	}
	report := Report{Task: c.name, Examples: len(examples), Scores: c.scores(examples, results), Seconds: since(start)}
	if c.name == "mmlu" {
		report.Groups = bySubject(examples, results)
	}
	return report, nil
}

// likeliest is the first of the largest values.
func likeliest(values []float64) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

func (c choosing) scores(examples []tasks.Example, results []Result) []Score {
	correct := make([]float64, len(results))
	for i, r := range results {
		correct[i] = isTrue(r.Correct)
	}
	scores := []Score{mean("accuracy", correct)}
	if c.name == "multirc" {
		scores = multiRC(examples, results)
	}
	return append(scores, answerNLL(results), Score{Name: "majority", Value: tasks.Majority(examples),
		N: len(examples)})
}

// bySubject is the accuracy of each of MMLU's subjects.
func bySubject(examples []tasks.Example, results []Result) map[string]Score {
	correct := map[string][]float64{}
	for i, e := range examples {
		correct[e.Group] = append(correct[e.Group], isTrue(results[i].Correct))
	}
	groups := map[string]Score{}
	for subject, values := range correct {
		groups[subject] = mean("accuracy", values)
	}
	return groups
}

// multiRC are the three measures of SuperGLUE's task: over all answers accuracy and F1 of those
// that are right (F1a), and the share of questions all of whose answers are judged right (exact
// match). The answers to one question are no independent examples: errors are over questions.
func multiRC(examples []tasks.Example, results []Result) []Score {
	type counts struct{ right, all, both, said, is int }
	questions := map[string]*counts{}
	for i, e := range examples {
		q := questions[e.Group]
		if q == nil {
			q = &counts{}
			questions[e.Group] = q
		}
		said, is := results[i].Predicted == 0, e.Gold == 0 // the first choice says that the answer is right
		q.all++
		q.right += int(isTrue(said == is))
		q.both += int(isTrue(said && is))
		q.said += int(isTrue(said))
		q.is += int(isTrue(is))
	}
	var list []counts
	var exact []float64
	var sum counts
	for _, name := range slices.Sorted(maps.Keys(questions)) {
		q := *questions[name]
		list = append(list, q)
		exact = append(exact, isTrue(q.right == q.all))
		sum.right, sum.all = sum.right+q.right, sum.all+q.all
		sum.both, sum.said, sum.is = sum.both+q.both, sum.said+q.said, sum.is+q.is
	}
	without := func(i int) counts {
		s := sum
		if i >= 0 {
			q := list[i]
			s.right, s.all, s.both, s.said, s.is = s.right-q.right, s.all-q.all, s.both-q.both, s.said-q.said, s.is-q.is
		}
		return s
	}
	byAnswer := jackknife("accuracy", len(list), func(i int) float64 {
		s := without(i)
		return float64(s.right) / math.Max(1, float64(s.all))
	})
	f1 := jackknife("f1a", len(list), func(i int) float64 {
		s := without(i)
		return 2 * float64(s.both) / math.Max(1, float64(s.said+s.is))
	})
	byAnswer.N, f1.N = len(results), len(results)
	return []Score{byAnswer, f1, mean("exact_match", exact)}
}
