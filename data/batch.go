package data

import "slices"

// Batch is several rows of one length, each of one sequence or of several that do not
// see each other, and padding behind them. Its slices are [Rows, Len], row-major, in the
// form that attention and cross entropy take them.
type Batch struct {
	Rows, Len int
	IDs       []int32    // 0 where padded
	Labels    []int32    // targets, already shifted; Ignored where none, and where padded
	Positions []int32    // 0, 1, 2, … in each sequence; 0 where padded
	Segments  []int32    // number of the sequence in its row; -1 where padded
	Counted   int        // labels that are not Ignored
	Sources   [][]Source // of the sequences of each row
	Tasks     [][]int    // of a Mixture, of the sequences of each row
}

// Collate makes a row of each sequence, padded to the longest of them.
func Collate(seqs []Sequence) Batch {
	rows := make([][]Sequence, len(seqs))
	for r := range seqs {
		rows[r] = seqs[r : r+1]
	}
	return collate(rows, 0)
}

// collate pads rows to the longest of them, and to that many tokens at least.
func collate(rows [][]Sequence, tokens int) Batch {
	b := Batch{Rows: len(rows), Len: tokens, Sources: make([][]Source, len(rows)), Tasks: make([][]int, len(rows))}
	for _, row := range rows {
		n := 0
		for _, s := range row {
			n += len(s.IDs)
		}
		b.Len = max(b.Len, n)
	}
	n := b.Rows * b.Len
	b.IDs, b.Labels, b.Positions, b.Segments = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	for r, row := range rows {
		at := r * b.Len
		for segment, s := range row {
			copy(b.IDs[at:], s.IDs)
			copy(b.Labels[at:], s.Labels)
			for t := range s.IDs {
				b.Positions[at+t], b.Segments[at+t] = int32(t), int32(segment)
			}
			at += len(s.IDs)
			b.Counted += s.Counted()
			b.Sources[r] = append(b.Sources[r], s.Source)
			b.Tasks[r] = append(b.Tasks[r], s.Task)
		}
		for ; at < (r+1)*b.Len; at++ {
			b.Labels[at], b.Segments[at] = Ignored, -1
		}
	}
	return b
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
	from, to := r*b.Len, (r+1)*b.Len
	one := Batch{
		Rows: 1, Len: b.Len, IDs: b.IDs[from:to], Labels: b.Labels[from:to],
		Positions: b.Positions[from:to], Segments: b.Segments[from:to], Sources: b.Sources[r : r+1], Tasks: b.Tasks[r : r+1],
	}
	one.Counted = counted(one.Labels)
	return one
}

// Batches cuts seqs, in their order, into batches of at most rows rows.
func Batches(seqs []Sequence, rows int) []Batch {
	var batches []Batch
	for chunk := range slices.Chunk(seqs, rows) {
		batches = append(batches, Collate(chunk))
	}
	return batches
}
