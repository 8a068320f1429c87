package data

import (
	"slices"

	"github.com/agora-ml/agora/batch"
)

// Batch is what a model reads, several rows, each of one sequence or of several that do not
// see each other, and padding behind them; and where they come from. All slices are there.
type Batch struct {
	batch.Batch
	Sources [][]Source // of the sequences of each row
	Tasks   [][]int    // of a Mixture, of the sequences of each row
	// Judgments of the sequences of each row. A rejected one of a pair comes right behind its chosen one,
	// in the same row if rows are packed, else in the next.
	Judgments [][]Judgment
	Answers   [][]int // Sequence.Answer of the sequences of each row
}

// Collate makes a row of each sequence, and two of each pair, padded to the longest of them.
func Collate(seqs []Sequence) Batch {
	rows := make([][]Sequence, len(seqs))
	for r := range seqs {
		rows[r] = seqs[r : r+1]
	}
	return collate(rows, 0)
}

// collate pads rows to the longest of them, and to that many tokens at least.
func collate(rows [][]Sequence, tokens int) Batch {
	rows = unfold(rows, tokens > 0)
	for _, row := range rows {
		n := 0
		for _, s := range row {
			n += len(s.IDs)
		}
		tokens = max(tokens, n)
	}
	n := len(rows) * tokens
	b := Batch{Sources: make([][]Source, len(rows)), Tasks: make([][]int, len(rows)),
		Judgments: make([][]Judgment, len(rows)), Answers: make([][]int, len(rows))}
	b.Rows = len(rows)
	b.IDs, b.Labels, b.Positions, b.Segments = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	for r, row := range rows {
		at := r * tokens
		for segment, s := range row {
			copy(b.IDs[at:], s.IDs)
			copy(b.Labels[at:], s.Labels)
			for t := range s.IDs {
				b.Positions[at+t], b.Segments[at+t] = int32(t), int32(segment)
			}
			at += len(s.IDs)
			b.Sources[r] = append(b.Sources[r], s.Source)
			b.Tasks[r] = append(b.Tasks[r], s.Task)
			b.Judgments[r] = append(b.Judgments[r], s.Judgment)
			b.Answers[r] = append(b.Answers[r], s.Answer)
		}
		for ; at < (r+1)*tokens; at++ {
			b.Labels[at], b.Segments[at] = Ignored, -1
		}
	}
	return b
}

// unfold puts the rejected answers of pairs behind the chosen ones: into the same row if rows are packed, else
// into one of their own.
func unfold(rows [][]Sequence, packed bool) [][]Sequence {
	all := make([][]Sequence, 0, len(rows))
	for _, row := range rows {
		var flat []Sequence
		for _, s := range row {
			if flat = append(flat, s); s.Rejected == nil {
				continue
			}
			if !packed {
				all, flat = append(all, flat), nil
			}
			flat = append(flat, *s.Rejected)
		}
		all = append(all, flat)
	}
	return all
}

// Tokens is the number of positions that are not padding.
func (b Batch) Tokens() int {
	n := 0
	for _, s := range b.Segments {
		if s >= 0 {
			n++
		}
	}
	return n
}

// Row is row r alone, as a batch. It shares its slices with b.
func (b Batch) Row(r int) Batch {
	return Batch{Batch: b.Batch.Row(r), Sources: b.Sources[r : r+1], Tasks: b.Tasks[r : r+1],
		Judgments: b.Judgments[r : r+1], Answers: b.Answers[r : r+1]}
}

// Batches cuts seqs, in their order, into batches of at most rows rows.
func Batches(seqs []Sequence, rows int) []Batch {
	var batches []Batch
	for chunk := range slices.Chunk(seqs, rows) {
		batches = append(batches, Collate(chunk))
	}
	return batches
}
