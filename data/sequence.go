package data

// Ignored is the label of a position that does not count in the loss.
const Ignored int32 = -100

// Sequence is one row, or a part of one, as the model reads it. Labels[t] is the target
// of position t, the token that should come after IDs[t] (already shifted), or Ignored.
type Sequence struct {
	IDs, Labels []int32
	Source      Source
}

// NewSequence is the row prompt + answer, cut to its first maxLen positions. Each
// token of the answer is the label of the position before it, so that the last one is
// a label only. The ids include what BOS and EOS there should be.
func NewSequence(prompt, answer []int32, maxLen int) Sequence {
	e := promptAndAnswer(prompt, answer)
	return e.part(0, min(e.positions(), maxLen))
}

// Counted is the number of positions that count in the loss.
func (s Sequence) Counted() int { return counted(s.Labels) }

func counted(labels []int32) int {
	n := 0
	for _, l := range labels {
		if l != Ignored {
			n++
		}
	}
	return n
}
