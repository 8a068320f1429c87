package data

import "slices"

// Batch is several rows padded to one length. Its slices are [Rows, Len], row-major,
// in the form that attention and cross entropy take them.
type Batch struct {
	Rows, Len int
	IDs       []int32 // 0 where padded
	Labels    []int32 // targets, already shifted; Ignored where none, and where padded
	Positions []int32 // 0, 1, 2, … in each row
	Segments  []int32 // 0; -1 where padded
	Counted   int     // labels that are not Ignored
}

// Collate pads rows to the longest of them, on the right.
func Collate(rows []Sequence) Batch {
	b := Batch{Rows: len(rows)}
	for _, s := range rows {
		b.Len = max(b.Len, len(s.IDs))
	}
	n := b.Rows * b.Len
	b.IDs, b.Labels, b.Positions, b.Segments = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	for r, s := range rows {
		at := r * b.Len
		copy(b.IDs[at:], s.IDs)
		copy(b.Labels[at:], s.Labels)
		for t := range b.Len {
			b.Positions[at+t] = int32(t)
			if t >= len(s.IDs) {
				b.Labels[at+t], b.Segments[at+t] = Ignored, -1
			}
		}
		b.Counted += s.Counted()
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

// Batches cuts seqs, in their order, into batches of at most rows rows.
func Batches(seqs []Sequence, rows int) []Batch {
	var batches []Batch
	for chunk := range slices.Chunk(seqs, rows) {
		batches = append(batches, Collate(chunk))
	}
	return batches
}
