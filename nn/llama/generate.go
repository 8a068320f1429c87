package llama

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	MinP        float32 // draw from the tokens of at least this part of the most likely one's probability; 0: from all
	Seed        uint64  // of the random numbers
	StopIDs     []int32 // a text ends with one of these; see Config.EOS

	// RepetitionPenalty divides the positive logits of tokens that prompt or continuation
	// hold already, and multiplies their negative ones, before anything else; 0 and 1: off.
	RepetitionPenalty float32
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
	if err := o.check(); err != nil {
		return err
	}
	if len(prompts) == 0 {
		return errors.New("llama: generating from no prompts: want at least one")
	}
	longest := 0
	room := make([]int, len(prompts)) // tokens that a row may still get
	for r, p := range prompts {
		if len(p) == 0 || len(p) >= m.Config.Context() {
			return fmt.Errorf("llama: prompt %d has %d tokens: want at least 1, and fewer than the model's %d "+
				"positions", r,
				len(p), m.Config.Context())
		}
		longest = max(longest, len(p))
		room[r] = min(o.MaxTokens, m.Config.Context()-len(p))
	}
	d := m.NewDecoder(len(prompts), longest+slices.Max(room))
	defer d.Close()

	feed, texts := slices.Clone(prompts), make([][]int32, len(prompts))
	for r, p := range prompts {
		texts[r] = slices.Clone(p)
	}
	memory := make([]float32, len(prompts)*m.Config.Vocab)
	choose := sampler{GenerateOptions: o}
	for slices.Max(room) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits, err := d.step(feed, memory)
		if err != nil {
			return err
		}
		next := slices.Repeat([]int32{-1}, len(prompts))
		for r := range next {
			feed[r] = nil
			if room[r] == 0 {
				continue
			}
			stream := random.NewStream(o.Seed, random.Sampling, uint32(r), uint32(d.length[r]))
			if next[r], err = choose.pick(logits[r], texts[r], stream); err != nil {
				return err
			}
			texts[r] = append(texts[r], next[r])
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
