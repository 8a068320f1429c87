package llama

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/agora-ml/agora/random"
)

// GenerateOptions choose how texts are continued. The zero value of all but MaxTokens
// is greedy: always the most likely token.
type GenerateOptions struct {
	MaxTokens   int     // new tokens at most
	Temperature float32 // logits are divided by it; 0: greedy
	TopK        int     // draw from the K most likely tokens; 0: from all
	TopP        float32 // draw from the fewest most likely tokens of this probability together; 0: from all
	Seed        uint64  // of the random numbers
	StopIDs     []int32 // a text ends with one of these; see Config.EOS
}

// Generate continues a prompt, token by token. A token of StopIDs is the last one it
// gives; it also ends where text and prompt fill the model's positions. An error
// comes with token -1 and ends the sequence.
func (m *Model) Generate(ctx context.Context, prompt []int32, o GenerateOptions) iter.Seq2[int32, error] {
	return func(yield func(int32, error) bool) {
		for next, err := range m.GenerateBatch(ctx, [][]int32{prompt}, o) {
			if err != nil {
				yield(-1, err)
				return
			}
			if !yield(next[0], nil) {
				return
			}
		}
	}
}

// GenerateBatch continues several prompts at once. Each step gives every row's next
// token, -1 for a row that has ended.
func (m *Model) GenerateBatch(ctx context.Context, prompts [][]int32, o GenerateOptions) iter.Seq2[[]int32, error] {
	return func(yield func([]int32, error) bool) {
		if err := m.generate(ctx, prompts, o, func(next []int32) bool { return yield(next, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (m *Model) generate(ctx context.Context, prompts [][]int32, o GenerateOptions, yield func([]int32) bool) error {
	if o.MaxTokens < 1 || !(o.Temperature >= 0) || o.TopK < 0 || !(o.TopP >= 0) || len(prompts) == 0 {
		return fmt.Errorf("llama: generating from %d prompts with %+v: want a prompt, at least 1 token and no negative number", len(prompts), o)
	}
	longest := 0
	room := make([]int, len(prompts)) // tokens that a row may still get
	for r, p := range prompts {
		if len(p) == 0 || len(p) >= m.Config.MaxPositions {
			return fmt.Errorf("llama: prompt %d has %d tokens: want at least 1, and fewer than the model's %d positions", r, len(p), m.Config.MaxPositions)
		}
		longest = max(longest, len(p))
		room[r] = min(o.MaxTokens, m.Config.MaxPositions-len(p))
	}
	d := m.NewDecoder(len(prompts), longest+slices.Max(room))
	defer d.Close()

	feed := slices.Clone(prompts)
	for slices.Max(room) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits, err := d.Step(feed)
		if err != nil {
			return err
		}
		next := slices.Repeat([]int32{-1}, len(prompts))
		for r := range next {
			feed[r] = nil
			if room[r] == 0 {
				continue
			}
			if next[r], err = o.pick(logits[r], random.NewStream(o.Seed, random.Sampling, uint32(r), uint32(d.length[r]))); err != nil {
				return err
			}
			room[r]--
			if slices.Contains(o.StopIDs, next[r]) {
				room[r] = 0
			}
			if room[r] > 0 {
				feed[r] = next[r : r+1]
			}
		}
		if !yield(next) {
			return nil
		}
	}
	return nil
}

// pick chooses the next token.
func (o GenerateOptions) pick(logits []float32, r *random.Stream) (int32, error) {
	best := 0
	for i, v := range logits {
		if math.IsNaN(float64(v)) {
			return -1, fmt.Errorf("llama: the logit of token %d is not a number", i)
		}
		if v > logits[best] {
			best = i
		}
	}
	if o.Temperature == 0 {
		return int32(best), nil
	}
	type candidate struct {
		id int32
		p  float64 // relative to that of the most likely token
	}
	candidates := make([]candidate, len(logits))
	for i, v := range logits {
		candidates[i] = candidate{int32(i), math.Exp((float64(v) - float64(logits[best])) / float64(o.Temperature))}
	}
	if o.TopK > 0 || o.TopP > 0 {
		slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.p, a.p) })
	}
	if o.TopK > 0 {
		candidates = candidates[:min(o.TopK, len(candidates))]
	}
	total := 0.0
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
	u := float64(r.Float32()) * total
	for _, c := range candidates {
		if u -= c.p; u < 0 {
			return c.id, nil
		}
	}
	return candidates[len(candidates)-1].id, nil
}
