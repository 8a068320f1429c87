package llama

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/random"
)

// Hand-made logits are drawn with the frequencies that follow from the settings.
func TestSampling(t *testing.T) {
	logits := []float32{0, float32(math.Log(4)), float32(math.Log(2)), float32(math.Log(3)), float32(math.Inf(-1))}
	for name, c := range map[string]struct {
		o    GenerateOptions
		want []float64 // relative frequencies
	}{
		"greedy":        {GenerateOptions{}, []float64{0, 1, 0, 0, 0}},
		"all":           {GenerateOptions{Temperature: 1}, []float64{.1, .4, .2, .3, 0}},
		"cold":          {GenerateOptions{Temperature: 0.5}, []float64{1. / 30, 16. / 30, 4. / 30, 9. / 30, 0}},
		"two best":      {GenerateOptions{Temperature: 1, TopK: 2}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		"more than all": {GenerateOptions{Temperature: 1, TopK: 9, TopP: 1}, []float64{.1, .4, .2, .3, 0}},
		"nucleus":       {GenerateOptions{Temperature: 1, TopP: 0.75}, []float64{0, 4. / 9, 2. / 9, 3. / 9, 0}},
		"smallest p":    {GenerateOptions{Temperature: 1, TopP: 1e-6}, []float64{0, 1, 0, 0, 0}},
		"p of the rest": {GenerateOptions{Temperature: 1, TopK: 3, TopP: 0.5}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		"min-p":         {GenerateOptions{Temperature: 1, MinP: 0.45}, []float64{0, 4. / 9, 2. / 9, 3. / 9, 0}},
		"min-p, colder": {GenerateOptions{Temperature: 0.5, MinP: 0.45}, []float64{0, 16. / 25, 0, 9. / 25, 0}},
		"min-p of one":  {GenerateOptions{Temperature: 1, MinP: 1}, []float64{0, 1, 0, 0, 0}},
		"min-p, two":    {GenerateOptions{Temperature: 1, MinP: 0.3, TopK: 2}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
	} {
		const draws = 20000
		counts := make([]float64, len(logits))
		for i := range draws {
			id, err := (&sampler{GenerateOptions: c.o}).pick(logits, nil, random.NewStream(3, random.Sampling, 0, uint32(i)))
			if err != nil {
				t.Fatal(err)
			}
			counts[id]++
		}
		for id, want := range c.want {
			got := counts[id] / draws
			if (want == 0 || want == 1) && got != want || math.Abs(got-want) > 0.015 {
				t.Errorf("%s: token %d has frequency %.3f, want %.3f", name, id, got, want)
			}
		}
	}
	if _, err := new(sampler).pick([]float32{1, float32(math.NaN())}, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "token 1") {
		t.Errorf("a NaN: error %v, want one that names token 1", err)
	}
}

// What is kept of a vocabulary is what sorting all of it would give, tokens with one logit in their order.
func TestKeptAreTheFirstOfAllSorted(t *testing.T) {
	r := random.NewStream(5, random.Test, 0, 0)
	logits := make([]float32, 1000)
	for i := range logits {
		logits[i] = float32(r.IntN(120)) / 10
	}
	best := slices.Max(logits)
	sorted := make([]candidate, len(logits))
	for i, v := range logits {
		sorted[i] = candidate{int32(i), v, math.Exp(float64(v-best) / 0.5)}
	}
	slices.SortStableFunc(sorted, func(a, b candidate) int { return cmp.Compare(b.logit, a.logit) })
	sum := func(list []candidate) (total float64) {
		for _, c := range list {
			total += c.p
		}
		return total
	}
	var s sampler // whose memory serves all
	for _, o := range []GenerateOptions{
		{TopK: 1}, {TopK: 40}, {TopK: 999}, {TopP: 0.1}, {TopP: 0.9}, {TopP: 0.999}, {MinP: 0.01}, {MinP: 1},
		{TopK: 300, TopP: 0.7}, {TopK: 300, MinP: 0.05}, {TopP: 0.97, MinP: 0.1}, {TopK: 70, TopP: 0.9, MinP: 0.3},
	} {
		want := sorted
		if o.TopK > 0 {
			want = want[:o.TopK]
		}
		if o.TopP > 0 {
			whole, n := sum(want), 1
			for sum(want[:n]) < float64(o.TopP)*whole {
				n++
			}
			want = want[:n]
		}
		for want[len(want)-1].p < float64(o.MinP) {
			want = want[:len(want)-1]
		}
		s.GenerateOptions = o
		s.Temperature = 0.5
		s.candidates = s.candidates[:0]
		for i, v := range logits {
			s.candidates = append(s.candidates, candidate{id: int32(i), logit: v})
		}
		got, total := s.keep(best)
		if len(got) != len(want) || math.Abs(total/sum(want)-1) > 1e-12 {
			t.Errorf("%+v: %d candidates that sum to %v, want %d and %v", o, len(got), total, len(want), sum(want))
			continue
		}
		for i := range got {
			if got[i].id != want[i].id {
				t.Errorf("%+v: candidate %d is token %d, want %d", o, i, got[i].id, want[i].id)
				break
			}
		}
	}
}

// The penalty is Hugging Face's: each token of prompt and continuation once, positive
// logits divided, negative ones multiplied, before the temperature.
func TestRepetitionPenalty(t *testing.T) {
	for name, c := range map[string]struct {
		penalty float32
		text    []int32
		want    []float32
	}{
		"off":           {0, []int32{0, 1}, []float32{3, -2, 0, 1}},
		"one":           {1, []int32{0, 1}, []float32{3, -2, 0, 1}},
		"none there":    {2, nil, []float32{3, -2, 0, 1}},
		"both signs":    {2, []int32{0, 1, 2}, []float32{1.5, -4, 0, 1}},
		"once only":     {2, []int32{0, 3, 0, 0}, []float32{1.5, -2, 0, 0.5}},
		"encouragement": {0.5, []int32{1, 3}, []float32{3, -1, 0, 2}},
	} {
		logits := []float32{3, -2, 0, 1}
		if _, err := (&sampler{GenerateOptions: GenerateOptions{RepetitionPenalty: c.penalty}}).pick(logits, c.text, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits, c.want) {
			t.Errorf("%s: logits %v, want %v", name, logits, c.want)
		}
	}
	id, err := (&sampler{GenerateOptions: GenerateOptions{RepetitionPenalty: 4}}).pick([]float32{3, -2, 0, 1}, []int32{0}, nil)
	if err != nil || id != 3 {
		t.Errorf("greedy with a penalty picks %d (%v), want 3", id, err)
	}
}

// With a penalty beyond all reason no token comes twice, be it in the prompt or not,
// in any row of a batch.
func TestPenaltyKnowsTheWholeText(t *testing.T) {
	d := open(t)
	c := small("llama")
	m := create(t, d, c)
	shared := []int32{1, 5, 9, 7, 7} // has room behind the first prompt
	prompts := [][]int32{shared[:3], {2, 3}}
	texts := [][]int32{slices.Clone(prompts[0]), slices.Clone(prompts[1])}
	for next, err := range m.GenerateBatch(context.Background(), prompts,
		GenerateOptions{MaxTokens: 15, RepetitionPenalty: 1e30}) {
		if err != nil {
			t.Fatal(err)
		}
		for r, id := range next {
			if slices.Contains(texts[r], id) {
				t.Errorf("row %d: token %d again, after %v", r, id, texts[r])
			}
			texts[r] = append(texts[r], id)
		}
	}
	if !slices.Equal(shared, []int32{1, 5, 9, 7, 7}) {
		t.Errorf("the prompt and what is behind it have become %v", shared)
	}
}
