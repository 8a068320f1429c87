package llama

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// A batch of prompts of unequal length gives each row what the row alone gives, also
// past the point where another row has ended.
func TestGenerateBatch(t *testing.T) {
	d := open(t)
	c := small("llama")
	m := create(t, d, c)
	prompts := [][]int32{text(1, 3, c.Vocab), text(2, 9, c.Vocab), text(3, 1, c.Vocab)}
	const n = 12
	var want [][]int32
	for _, p := range prompts {
		want = append(want, generate(t, m, p, n)[len(p):])
	}
	stop := want[1][2] // ends row 1 early, and whatever other row it occurs in
	for i, row := range want {
		if at := slices.Index(row, stop); at >= 0 {
			want[i] = row[:at+1]
		}
	}
	before := d.Stats()
	got := make([][]int32, len(prompts))
	for next, err := range m.GenerateBatch(context.Background(), prompts,
		GenerateOptions{MaxTokens: n, StopIDs: []int32{stop}}) {
		if err != nil {
			t.Fatal(err)
		}
		for r, id := range next {
			if id >= 0 {
				got[r] = append(got[r], id)
			}
		}
	}
	for r := range want {
		if !slices.Equal(got[r], want[r]) {
			t.Errorf("row %d is %v, want %v", r, got[r], want[r])
		}
	}
	if live := d.Stats().Live; live != before.Live {
		t.Errorf("generating leaked %d bytes", live-before.Live)
	}
}

func TestGenerateEnds(t *testing.T) {
	d := open(t)
	c := small("llama")
	m := create(t, d, c)
	if got := generate(t, m, text(1, 60, c.Vocab), 100); len(got) != c.MaxPositions {
		t.Errorf("%d tokens of a model with %d positions", len(got), c.MaxPositions)
	}
	// The consumer may stop, the context may end: memory comes back.
	before := d.Stats().Live
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var errs []error
	n := 0
	for _, err := range m.Generate(ctx, []int32{1}, GenerateOptions{MaxTokens: 10}) {
		if n++; n == 3 {
			cancel()
		}
		errs = append(errs, err)
	}
	if len(errs) != 4 || !errors.Is(errs[3], context.Canceled) || errs[2] != nil {
		t.Errorf("canceled after three tokens: errors %v", errs)
	}
	for range m.Generate(context.Background(), []int32{1}, GenerateOptions{MaxTokens: 10}) {
		break
	}
	if live := d.Stats().Live; live != before {
		t.Errorf("%d bytes leaked", live-before)
	}
	for want, run := range map[string]struct {
		prompt []int32
		o      GenerateOptions
	}{
		"prompt 0 has 0 tokens":  {nil, GenerateOptions{MaxTokens: 1}},
		"prompt 0 has 64 tokens": {make([]int32, 64), GenerateOptions{MaxTokens: 1}},
		"token id 37 in row 0":   {[]int32{37}, GenerateOptions{MaxTokens: 1}},
		"MaxTokens 0":            {[]int32{1}, GenerateOptions{}},
		"Temperature -1":         {[]int32{1}, GenerateOptions{MaxTokens: 1, Temperature: -1}},
		"TopK -1":                {[]int32{1}, GenerateOptions{MaxTokens: 1, TopK: -1}},
		"TopP NaN":               {[]int32{1}, GenerateOptions{MaxTokens: 1, TopP: float32(math.NaN())}},
		"MinP 1.5: want 0 to 1":  {[]int32{1}, GenerateOptions{MaxTokens: 1, MinP: 1.5}},
		"RepetitionPenalty -1":   {[]int32{1}, GenerateOptions{MaxTokens: 1, RepetitionPenalty: -1}},
	} {
		var got error
		for id, err := range m.Generate(context.Background(), run.prompt, run.o) {
			if err == nil {
				t.Errorf("%s: got token %d", want, id)
			}
			got = err
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("error %v, want one with %q", got, want)
		}
	}
}

// The same seed draws the same text, another seed another one.
func TestSeeds(t *testing.T) {
	d := open(t)
	m := create(t, d, small("llama"))
	draw := func(seed uint64) (ids []int32) {
		for id, err := range m.Generate(context.Background(), []int32{1},
			GenerateOptions{MaxTokens: 20, Temperature: 1, Seed: seed}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	if a, b := draw(1), draw(1); !slices.Equal(a, b) {
		t.Errorf("one seed drew %v and %v", a, b)
	}
	if a, b := draw(1), draw(2); slices.Equal(a, b) {
		t.Errorf("two seeds drew %v", a)
	}
}

// What trains cannot go through a cache while a tape records: it would have no
// gradient there.
func TestDecoderRefusesATape(t *testing.T) {
	d := open(t)
	m := create(t, d, small("llama"))
	train(m)
	decoder := m.NewDecoder(1, 4)
	tape := autograd.NewTape(d)
	defer tape.Close()
	err := tensor.Catch(func() { _, _ = decoder.Step([][]int32{{1}}) })
	if err == nil || !strings.Contains(err.Error(), "close the tape") {
		t.Errorf("error %v, want one that speaks of the tape", err)
	}
}
