package llama

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/random"
)

// check refuses settings that mean nothing, by their field's name.
func (o GenerateOptions) check() error {
	fail := func(field, want string, got any) error {
		return fmt.Errorf("llama: generating with %s %v: want %s", field, got, want)
	}
	switch {
	case o.MaxTokens < 1:
		return fail("MaxTokens", "at least 1", o.MaxTokens)
	case !(o.Temperature >= 0):
		return fail("Temperature", "at least 0", o.Temperature)
	case o.TopK < 0:
		return fail("TopK", "at least 0", o.TopK)
	case !(o.TopP >= 0):
		return fail("TopP", "at least 0", o.TopP)
	case !(o.MinP >= 0 && o.MinP <= 1):
		return fail("MinP", "0 to 1", o.MinP)
	case !(o.RepetitionPenalty >= 0) || math.IsInf(float64(o.RepetitionPenalty), 0):
		return fail("RepetitionPenalty", "a finite number of at least 0", o.RepetitionPenalty)
	}
	return nil
}

// penalizes reports whether RepetitionPenalty changes anything.
func (o GenerateOptions) penalizes() bool {
	return o.RepetitionPenalty != 0 && o.RepetitionPenalty != 1
}

// penalize makes the tokens that a text holds already less likely (1909.05858): each
// once, however often it stands there.
func (o GenerateOptions) penalize(logits []float32, text []int32) {
	done := map[int32]bool{}
	for _, id := range text {
		if done[id] {
			continue
		}
		done[id] = true
		if logits[id] > 0 {
			logits[id] /= o.RepetitionPenalty
		} else {
			logits[id] *= o.RepetitionPenalty
		}
	}
}

// candidate is a token that may be drawn.
type candidate struct {
	id int32
	p  float64 // relative to that of the most likely token
}

// pick chooses the token after text.
func (o GenerateOptions) pick(logits []float32, text []int32, r *random.Stream) (int32, error) {
	if o.penalizes() {
		o.penalize(logits, text)
	}
	best, highest := 0, float32(math.Inf(-1))
	for i, v := range logits {
		if v <= highest { // one comparison of most: there may be 150,000
			continue
		}
		if v != v {
			return -1, fmt.Errorf("llama: the logit of token %d is not a number", i)
		}
		best, highest = i, v
	}
	if o.Temperature == 0 {
		return int32(best), nil
	}
	candidates := make([]candidate, len(logits))
	for i, v := range logits {
		candidates[i] = candidate{int32(i), math.Exp((float64(v) - float64(logits[best])) / float64(o.Temperature))}
	}
	candidates, total := o.keep(candidates)
	u := float64(r.Float32()) * total
	for _, c := range candidates {
		if u -= c.p; u < 0 {
			return c.id, nil
		}
	}
	return candidates[len(candidates)-1].id, nil
}

// keep takes what TopK leaves, of that what TopP leaves, of that what MinP leaves, and
// sums it.
func (o GenerateOptions) keep(candidates []candidate) (kept []candidate, total float64) {
	if o.TopK > 0 || o.TopP > 0 || o.MinP > 0 {
		slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.p, a.p) })
	}
	if o.TopK > 0 {
		candidates = candidates[:min(o.TopK, len(candidates))]
	}
	for _, c := range candidates {
		total += c.p
	}
	if o.TopP > 0 && o.TopP < 1 {
		sum := 0.0
		for i, c := range candidates {
			if sum += c.p; sum >= float64(o.TopP)*total {
				candidates, total = candidates[:i+1], sum
				break
			}
		}
	}
	for last := len(candidates) - 1; candidates[last].p < float64(o.MinP); last-- {
		total -= candidates[last].p
		candidates = candidates[:last]
	}
	return candidates, total
}
