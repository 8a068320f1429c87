package train

import (
	"slices"

	"github.com/agora-ml/agora/data"
)

// mismatch gives each prompt of a step the answer of the sequence before it, the first that of the last, in
// batches of as many rows: what KTO estimates its divergence from, so that prompts and answers are the same as
// those of the step (2402.01306; TRL, KTOTrainer). What is longer than maxTokens loses its end, but
// nothing of the prompt, behind which the step's own answer had room.
func mismatch(batches []data.Batch, maxTokens int) []data.Batch {
	var all []data.Sequence
	for _, b := range batches {
		all = append(all, sequencesOf(b)...)
	}
	var sizes []int
	for _, b := range batches {
		n := 0
		for _, row := range b.Judgments {
			n += len(row)
		}
		sizes = append(sizes, n)
	}
	others := make([]data.Sequence, len(all))
	for i, s := range all {
		before := all[(i+len(all)-1)%len(all)]
		others[i] = data.NewSequence(promptOf(s), answerOf(before), maxTokens)
		others[i].Source, others[i].Task, others[i].Judgment = s.Source, s.Task, s.Judgment
	}
	var list []data.Batch
	for _, n := range sizes {
		list = append(list, data.Collate(others[:n]))
		others = others[n:]
	}
	return list
}

// sequencesOf takes the sequences out of a batch again.
func sequencesOf(b data.Batch) (all []data.Sequence) {
	for r, row := range b.Judgments {
		at := r * b.Len()
		for segment, judgment := range row {
			to := at
			for to < (r+1)*b.Len() && b.Segments[to] == int32(segment) {
				to++
			}
			all = append(all, data.Sequence{IDs: b.IDs[at:to], Labels: b.Labels[at:to], Source: b.Sources[r][segment],
				Task: b.Tasks[r][segment], Judgment: judgment})
			at = to
		}
	}
	return all
}

// promptOf is the tokens before the first that counts.
func promptOf(s data.Sequence) []int32 {
	first := slices.IndexFunc(s.Labels, func(label int32) bool { return label != data.Ignored })
	return s.IDs[:first+1]
}

// answerOf is the tokens from the first that counts to the last.
func answerOf(s data.Sequence) (answer []int32) {
	last := len(s.Labels) - 1
	for s.Labels[last] == data.Ignored {
		last--
	}
	answer = slices.Clone(s.IDs[len(promptOf(s)) : last+1])
	return append(answer, s.Labels[last])
}
