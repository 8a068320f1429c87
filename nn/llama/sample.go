package llama

import (
	"fmt"
	"math"

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

// A sampler chooses tokens, one after the other.
type sampler struct {
	GenerateOptions
	candidates ranking
	kept       []candidate
}

// candidate is a token that may be drawn.
type candidate struct {
	id    int32
	logit float32
	p     float64 // relative to that of the most likely token
}

// pick chooses the token after text.
func (s *sampler) pick(logits []float32, text []int32, r *random.Stream) (int32, error) {
	if s.penalizes() {
		s.penalize(logits, text)
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
	if s.Temperature == 0 {
		return int32(best), nil
	}
	s.candidates = s.candidates[:0]
	for i, v := range logits {
		s.candidates = append(s.candidates, candidate{id: int32(i), logit: v})
	}
	candidates, total := s.keep(logits[best])
	u := float64(r.Float32()) * total
	for _, c := range candidates {
		if u -= c.p; u < 0 {
			return c.id, nil
		}
	}
	return candidates[len(candidates)-1].id, nil
}

// keep takes what TopK leaves, of that what TopP leaves, of that what MinP leaves, and sums it: the most likely first, or all
// in order where none of them is set. What is left out is never sorted.
func (s *sampler) keep(best float32) (kept []candidate, total float64) {
	all, nucleus := s.candidates, s.TopP > 0 && s.TopP < 1
	most := len(all)
	if s.TopK > 0 {
		most = min(s.TopK, most)
	}
	p := func(c candidate) float64 {
		return math.Exp((float64(c.logit) - float64(best)) / float64(s.Temperature))
	}
	whole := 0.0 // the sum of what TopP takes a part of, where that is all
	if most == len(all) && (nucleus || s.MinP == 0) {
		for i, c := range all {
			all[i].p = p(c)
			whole += all[i].p
		}
		if !nucleus {
			return all, whole
		}
	}
	kept = s.kept[:0]
	all.order()
	for len(kept) < most {
		c := all.next()
		if c.p = p(c); c.p < float64(s.MinP) && (!nucleus || whole > 0) {
			break
		}
		kept = append(kept, c)
		if total += c.p; whole > 0 && total >= float64(s.TopP)*whole {
			break
		}
	}
	s.kept = kept
	if nucleus && whole == 0 {
		kept, total = s.nucleus(kept, total)
	}
	return kept, total
}

// nucleus is what TopP and MinP leave of ordered candidates with this sum.
func (s *sampler) nucleus(candidates []candidate, whole float64) (kept []candidate, total float64) {
	for i, c := range candidates {
		if c.p < float64(s.MinP) {
			return candidates[:i], total
		}
		if total += c.p; total >= float64(s.TopP)*whole {
			return candidates[:i+1], total
		}
	}
	return candidates, total
}

// A ranking is a heap of candidates, the likeliest on top: of a vocabulary of 100,000 tokens few are ever looked at.
type ranking []candidate

func (h ranking) before(i, j int) bool {
	return h[i].logit > h[j].logit || h[i].logit == h[j].logit && h[i].id < h[j].id
}

// order makes a heap of any candidates.
func (h ranking) order() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

// next takes the likeliest away.
func (h *ranking) next() candidate {
	last := len(*h) - 1
	top := (*h)[0]
	(*h)[0] = (*h)[last]
	*h = (*h)[:last]
	h.sink(0)
	return top
}

// sink brings element i to where none below it is likelier.
func (h ranking) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
