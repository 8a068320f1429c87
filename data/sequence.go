package data

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Ignored is the label of a position that does not count in the loss.
const Ignored int32 = -100

// Sequence is one row as the model reads it. Labels[t] is the target of position t,
// the token that should come after IDs[t] (already shifted), or Ignored.
type Sequence struct{ IDs, Labels []int32 }

// NewSequence is the row prompt + answer, cut to its first maxLen positions. Each
// token of the answer is the label of the position before it, so that the last one is
// a label only. The ids include what BOS and EOS there should be.
func NewSequence(prompt, answer []int32, maxLen int) Sequence {
	all := append(append(make([]int32, 0, len(prompt)+len(answer)), prompt...), answer...)
	n := min(max(len(all)-1, 0), maxLen)
	s := Sequence{IDs: all[:n:n], Labels: make([]int32, n)}
	for t := range n {
		s.Labels[t] = Ignored
		if t+1 >= len(prompt) {
			s.Labels[t] = all[t+1]
		}
	}
	return s
}

// Counted is the number of positions that count in the loss.
func (s Sequence) Counted() int {
	n := 0
	for _, l := range s.Labels {
		if l != Ignored {
			n++
		}
	}
	return n
}

// Tokenize turns rows into sequences of at most maxLen positions, in their order:
// BOS, the prompt, the answer, EOS, with the loss on the answer and EOS. Prompt and
// answer are encoded each by itself: the prompt's ids are those that generation will
// start from, whatever the answer, and the answer's ids decoded alone are the answer.
// A row whose answer is cut away whole has nothing to learn from: it is left out, and
// dropped counts it.
func Tokenize(tok Tokenizer, rows []Example, maxLen int) (seqs []Sequence, dropped int) {
	all := make([]Sequence, len(rows))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(rows)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(rows); i = int(next.Add(1)) - 1 {
				all[i] = tokenize(tok, rows[i], maxLen)
			}
		})
	}
	workers.Wait()
	for _, s := range all {
		if s.Counted() == 0 {
			dropped++
			continue
		}
		seqs = append(seqs, s)
	}
	return seqs, dropped
}

func tokenize(tok Tokenizer, x Example, maxLen int) Sequence {
	var prompt []int32
	if bos, ok := tok.BOS(); ok {
		prompt = append(prompt, bos)
	}
	prompt = append(prompt, tok.Encode(x.Prompt)...)
	answer := tok.Encode(x.Answer)
	if eos, ok := tok.EOS(); ok {
		answer = append(answer, eos)
	}
	return NewSequence(prompt, answer, maxLen)
}
