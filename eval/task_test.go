package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tokenizer"
)

// tiny is a model with random weights over the bytes of bytes.json.
func tiny(t *testing.T) Subject {
	t.Helper()
	tok, err := tokenizer.Load("../tokenizer/testdata/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.New(open(t), llama.Config{
		ModelType: "llama", Vocab: 282, Hidden: 16, Intermediate: 24, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.3, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 280,
		EOS: []int32{281},
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return Subject{m, tok}
}

// logLikelihood is that of an answer, by one pass over the whole text.
func logLikelihood(t *testing.T, s Subject, prompt, answer string) float64 {
	t.Helper()
	context := len(s.Tokenizer.Encode(prompt))
	ids := s.Tokenizer.Encode(prompt + answer)
	answered := ids[context:]
	read := ids[:len(ids)-1]
	read = read[max(0, len(read)-s.Model.Config.MaxPositions):]
	scope := s.Model.Device().Scope()
	defer scope.Close()
	logits, err := s.Model.Logits(llama.NewBatch([][]int32{read}, nil)).Tensor().Float32s()
	if err != nil {
		t.Fatal(err)
	}
	sum, vocab := 0.0, s.Model.Config.Vocab
	for i, id := range answered {
		at := len(read) - len(answered) + i
		row, total := logits[at*vocab:(at+1)*vocab], 0.0
		for _, x := range row {
			total += math.Exp(float64(x))
		}
		sum += float64(row[id]) - math.Log(total)
	}
	return sum
}

// Likelihoods do not depend on what is computed together, shared beginnings and contexts that
// are cut included.
func TestLikelihoodsAreThoseOfEachTextAlone(t *testing.T) {
	s := tiny(t)
	passage := "a passage of some words"
	var examples []tasks.Example
	for i, q := range []string{passage + "?", passage + ", and?", passage + strings.Repeat(" long", 20), "x", "yy",
		passage + "!"} {
		e := tasks.Example{Prompt: q, Choices: []string{" no", " yes", " no, never", " n"}, Gold: i % 4,
			ID: fmt.Sprint(i), Group: "a"}
		e.Answer = e.Choices[e.Gold]
		examples = append(examples, e)
	}
	task, err := NewTask("boolq", examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, batchTokens := range []int{1, 60, 10000} {
		seen := 0
		report, err := task.Run(context.Background(), s,
			Options{BatchTokens: batchTokens, Record: func(r Result) error {
				seen++
				i := slices.IndexFunc(examples, func(e tasks.Example) bool { return e.ID == r.ID })
				best := 0
				for k, c := range examples[i].Choices {
					want := logLikelihood(t, s, examples[i].Prompt, c)
					if math.Abs(r.LogLikelihoods[k]-want) > 1e-4 {
						t.Errorf("%d tokens: example %d choice %d: %.6f, want %.6f", batchTokens, i, k,
							r.LogLikelihoods[k], want)
					}
					if r.LogLikelihoods[k] > r.LogLikelihoods[best] {
						best = k
					}
				}
				if r.Predicted != best || r.Correct != (best == examples[i].Gold) ||
					r.NLL != -r.LogLikelihoods[r.Gold] {
					t.Errorf("%+v", r)
				}
				return nil
			}})
		if err != nil || seen != len(examples) || report.Examples != seen ||
			report.Scores[2] != (Score{Name: "majority", Value: 2. / 6, N: 6}) {
			t.Errorf("%d results, %+v, %v", seen, report, err)
		}
	}
}

// One text answers all choices that differ in their last token, or are beginnings of others.
func TestRows(t *testing.T) {
	q := question{id: "q", context: []int32{1, 2}, answers: [][]int32{{5, 6}, {5}, {5, 7}, {8, 9, 3}, {8}}}
	rows, err := q.rows(4, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || !slices.Equal(rows[0].ids, []int32{1, 2, 8, 9}) ||
		!slices.Equal(rows[1].ids, []int32{1, 2, 5}) {
		t.Fatalf("%+v", rows)
	}
	want := []llama.Query{{After: 2, Token: 5}, {After: 3, Token: 6}, {After: 2, Token: 5}, {After: 3, Token: 7}}
	if !slices.Equal(rows[1].queries[:4], want) && !slices.Equal(rows[1].queries, want) {
		t.Errorf("%+v", rows[1].queries)
	}
	if rows, err = q.rows(0, 3); err != nil || !slices.Equal(rows[0].ids, []int32{2, 8, 9}) ||
		rows[0].context != 1 { // cut on the left
		t.Errorf("%+v, %v", rows, err)
	}
	if _, err = q.rows(0, 2); err == nil || err.Error() != "eval: q: an answer has 3 tokens, the model 2 positions" {
		t.Errorf("%v", err)
	}
}

func TestBatches(t *testing.T) {
	long := make([]int32, 100)
	of := func(tail ...int32) row { return row{ids: append(slices.Clone(long), tail...), context: 99} }
	var got [][2]int
	for _, b := range batches([]row{of(1), of(2, 3), of(4)}, 1000) {
		got = append(got, [2]int{len(b.rows), b.shared})
	}
	if !reflect.DeepEqual(got, [][2]int{{3, 99}}) { // not beyond the context
		t.Errorf("rows and what they share: %v", got)
	}
	got = nil
	for _, b := range batches([]row{{ids: []int32{1, 2, 3}, context: 2}, {ids: long[:60], context: 50},
		{ids: []int32{4, 5, 6}, context: 2}}, 1000) {
		got = append(got, [2]int{len(b.rows), b.shared})
	}
	if !reflect.DeepEqual(got, [][2]int{{2, 0}, {1, 0}}) { // rows of a length together
		t.Errorf("rows and what they share: %v", got)
	}
	if n := len(batches([]row{of(1), of(2), of(3)}, 104)); n != 2 { // 99 tokens and two rows of 2 more: 103
		t.Errorf("%d batches, want 2", n)
	}
}

// Examples of an earlier run are not measured again, and count.
func TestDone(t *testing.T) {
	s := tiny(t)
	var examples []tasks.Example
	for i := range 4 {
		examples = append(examples, tasks.Example{Prompt: "p" + strings.Repeat("q", i), Choices: []string{" a", " b"},
			Answer: " a", ID: fmt.Sprint(i)})
	}
	task, _ := NewTask("rte", examples)
	earlier := map[string]Result{}
	whole, err := task.Run(context.Background(), s,
		Options{Record: func(r Result) error { earlier[r.ID] = r; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	delete(earlier, "2")
	var again []string
	rest, err := task.Run(context.Background(), s, Options{
		Done:   func(task, id string) (Result, bool) { r, ok := earlier[id]; return r, ok && task == "rte" },
		Record: func(r Result) error { again = append(again, r.ID); return nil },
	})
	if err != nil || !slices.Equal(again, []string{"2"}) {
		t.Errorf("measured %q, %v", again, err)
	}
	if rest.Seconds, whole.Seconds = 0, 0; !reflect.DeepEqual(rest, whole) {
		t.Errorf("got %+v\nwant %+v", rest, whole)
	}
	full := errors.New("disk full")
	if _, err := task.Run(context.Background(), s,
		Options{Record: func(Result) error { return full }}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := task.Run(ctx, s, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMultiRC(t *testing.T) {
	// Question a: right, right, wrong answers, judged right, wrong, wrong. Question b: both judged as they are.
	examples := []tasks.Example{{Group: "a", Gold: 0}, {Group: "a", Gold: 0}, {Group: "a", Gold: 1},
		{Group: "b", Gold: 0}, {Group: "b", Gold: 1}}
	var results []Result
	for i, said := range []int{0, 1, 1, 0, 1} {
		results = append(results, Result{Predicted: said, Gold: examples[i].Gold})
	}
	got := multiRC(examples, results)
	// Accuracy 4/5; F1 of right ones: precision 2/2, recall 2/3; exact on one of two questions.
	for i, want := range []Score{{"accuracy", 0.8, 0, 5}, {"f1a", 0.8, 0, 5}, {"exact_match", 0.5, 0.5, 2}} {
		if s := got[i]; s.Name != want.Name || math.Abs(s.Value-want.Value) > 1e-12 || s.N != want.N || s.StdErr <= 0 {
			t.Errorf("got %+v, want %+v", s, want)
		}
	}
	// Leaving out a or b gives an accuracy of 1 or 2/3.
	if want := math.Sqrt(0.5 * 2 * math.Pow((1-2./3)/2, 2)); math.Abs(got[0].StdErr-want) > 1e-12 {
		t.Errorf("standard error %v, want %v", got[0].StdErr, want)
	}
}

// A jackknife of a mean is the formula of a mean.
func TestStandardErrors(t *testing.T) {
	values := []float64{1, 0, 0, 1, 1, 1, 0, 1}
	m := mean("m", values)
	if want := math.Sqrt(0.625 * 0.375 / 7); math.Abs(m.StdErr-want) > 1e-12 || m.Value != 0.625 {
		t.Errorf("got %+v, want ± %v", m, want)
	}
	j := jackknife("m", len(values), func(without int) float64 {
		sum, n := 0.0, 0
		for i, v := range values {
			if i != without {
				sum, n = sum+v, n+1
			}
		}
		return sum / float64(n)
	})
	if math.Abs(j.StdErr-m.StdErr) > 1e-12 {
		t.Errorf("jackknife %v, want %v", j.StdErr, m.StdErr)
	}
}

func TestLimit(t *testing.T) {
	examples := []tasks.Example{{Group: "a"}, {Group: "a"}, {Group: "b"}, {Group: "b"}, {Group: "b"}}
	if n := len(limited("mmlu", examples, Options{Limit: 2})); n != 4 {
		t.Errorf("%d of MMLU, want 2 of each subject", n)
	}
	if n := len(limited("rte", examples, Options{Limit: 2})); n != 2 {
		t.Errorf("%d, want 2", n)
	}
}

func TestWriting(t *testing.T) {
	s := tiny(t)
	examples := []tasks.Example{
		{Prompt: "Question: one?\nAnswer:", Answer: " it\n#### 3", Number: "3", ID: "1"},
		{Prompt: "Question: " + strings.Repeat("long ", 30) + "?\nAnswer:", Answer: " it\n#### 4", Number: "4",
			ID: "2"},
	}
	task, err := NewTask("gsm8k", examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, batchTokens := range []int{1, 4096} {
		report, err := task.Run(context.Background(), s,
			Options{BatchTokens: batchTokens, Record: func(r Result) error {
				i := slices.IndexFunc(examples, func(e tasks.Example) bool { return e.ID == r.ID })
				if want := -logLikelihood(t, s, examples[i].Prompt,
					examples[i].Answer); math.Abs(r.NLL-want) > 1e-4 || r.Tokens != len(" it\n#### 3") {
					t.Errorf("nll %v of %d tokens, want %v", r.NLL, r.Tokens, want)
				}
				if number, _ := tasks.FinalNumber(r.Written); r.Correct != (number == examples[i].Number) ||
					strings.Contains(r.Written, "\n\n") {
					t.Errorf("%+v", r)
				}
				return nil
			}})
		if err != nil || report.Examples != 2 || report.Scores[0].Name != "exact_match" {
			t.Errorf("%+v, %v", report, err)
		}
	}
	if _, err := NewTask("gsm8k", []tasks.Example{{Choices: []string{"a"}, ID: "x"}}); err == nil ||
		err.Error() != "eval: task gsm8k: x is no example of it" {
		t.Errorf("%v", err)
	}
}
