// Package batch is what a language model reads at a time: rows of token ids, all of one
// length, on the host. Package data makes them, and nn/llama runs them.
//
//	b := batch.Batch{Rows: 2, IDs: []int32{1, 5, 7, 1, 9, 2}}
//	logits := model.Logits(b) // [2, 3, vocabulary]
package batch

// Ignored is the label of a token after which nothing is to be predicted.
const Ignored int32 = -100

// Batch is rows of token ids. Every slice is [Rows, Len], row by row.
type Batch struct {
	Rows int
	IDs  []int32 // 0 where padded, or anything
	// Labels are what a model is to predict after each token (shifted already), or Ignored.
	// nil: none.
	Labels []int32
	// Positions of the tokens in their sequences; nil: 0, 1, … in every row.
	Positions []int32
	// Segments are the numbers of the sequences in a row, which do not see each other; -1 is
	// padding. nil: every row is one sequence.
	Segments []int32
}

// Len returns the number of tokens of every row, padding included.
func (b Batch) Len() int { return len(b.IDs) / max(b.Rows, 1) }

// Counted returns how many labels are not Ignored.
func (b Batch) Counted() int {
	n := 0
	for _, label := range b.Labels {
		if label != Ignored {
			n++
		}
	}
	return n
}

// Row returns row r alone, as a batch. It shares its slices with b.
func (b Batch) Row(r int) Batch {
	row := func(all []int32) []int32 {
		if all == nil {
			return nil
		}
		return all[r*b.Len() : (r+1)*b.Len()]
	}
	return Batch{
		Rows: 1, IDs: row(b.IDs), Labels: row(b.Labels), Positions: row(b.Positions), Segments: row(b.Segments),
	}
}

// Whole reports whether every row is one sequence without padding: positions and segments say nothing then.
func (b Batch) Whole() bool {
	n := b.Len()
	for i, p := range b.Positions {
		if int(p) != i%n {
			return false
		}
	}
	for i, s := range b.Segments {
		if s < 0 || s != b.Segments[i/n*n] {
			return false
		}
	}
	return true
}

// MaxPositions returns one more than the largest position.
func (b Batch) MaxPositions() int {
	if b.Positions == nil {
		return b.Len()
	}
	n := int32(-1)
	for _, p := range b.Positions {
		n = max(n, p)
	}
	return int(n) + 1
}
