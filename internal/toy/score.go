package toy

import (
	"context"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

// score is how well the model now answers fresh rows of each task.
func (x *experiment) score(ctx context.Context, tasks []Task) ([]BaseScore, error) {
	var scores []BaseScore
	for _, t := range tasks {
		var want []string
		var prompts [][]int32
		for _, row := range t.testRows(x.Seed, x.TestRows) {
			want, prompts = append(want, row.Completion), append(prompts, tokenizer.EncodeWithBOS(x.tok, row.Prompt))
		}
		ids := make([][]int32, len(prompts))
		for next, err := range x.model.GenerateBatch(ctx, prompts,
			llama.GenerateOptions{MaxTokens: length + 1, StopIDs: x.model.Config.EOS}) {
			if err != nil {
				return nil, err
			}
			for i, id := range next {
				if id >= 0 {
					ids[i] = append(ids[i], id)
				}
			}
		}
		got := make([]string, len(ids))
		for i := range ids {
			got[i] = x.tok.Decode(ids[i])
		}
		scores = append(scores, BaseScore{t.Name, Score(want, got)})
	}
	return scores, nil
}

// Score is the share of the wanted letters that stand where they should. What is written
// behind the last of them does not count.
func Score(want, got []string) float64 {
	right, all := 0, 0
	for i, w := range want {
		all += len(w)
		for j := range min(len(w), len(got[i])) {
			if got[i][j] == w[j] {
				right++
			}
		}
	}
	return float64(right) / float64(all)
}
