package llama

import (
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
			id, err := c.o.pick(logits, nil, random.NewStream(3, random.Sampling, 0, uint32(i)))
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
	if _, err := (GenerateOptions{}).pick([]float32{1, float32(math.NaN())}, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "token 1") {
		t.Errorf("a NaN: error %v, want one that names token 1", err)
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
		if _, err := (GenerateOptions{RepetitionPenalty: c.penalty}).pick(logits, c.text, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits, c.want) {
			t.Errorf("%s: logits %v, want %v", name, logits, c.want)
		}
	}
	id, err := GenerateOptions{RepetitionPenalty: 4}.pick([]float32{3, -2, 0, 1}, []int32{0}, nil)
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
