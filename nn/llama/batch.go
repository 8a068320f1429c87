package llama

import (
	"fmt"

	"github.com/agora-ml/agora/batch"
	"github.com/agora-ml/agora/tensor"
)

// Batch is what a model reads: rows of token ids.
type Batch = batch.Batch

// NewBatch puts rows of unequal length together: shorter ones are padded on the
// right. labels may be nil.
func NewBatch(ids, labels [][]int32) Batch {
	tokens, padded := 0, false
	for _, row := range ids {
		tokens = max(tokens, len(row))
	}
	b := Batch{Rows: len(ids)}
	for r, row := range ids {
		if labels != nil && len(labels[r]) != len(row) {
			tensor.Panicf("llama", "row %d of a batch has %d ids and %d labels", r, len(row), len(labels[r]))
		}
		padded = padded || len(row) < tokens
		for i := range tokens {
			id, position, segment, label := int32(0), int32(0), int32(-1), batch.Ignored
			if i < len(row) {
				id, position, segment = row[i], int32(i), 0
				if labels != nil {
					label = labels[r][i]
				}
			}
			b.IDs, b.Labels = append(b.IDs, id), append(b.Labels, label)
			b.Positions, b.Segments = append(b.Positions, position), append(b.Segments, segment)
		}
	}
	if !padded {
		b.Positions, b.Segments = nil, nil
	}
	if labels == nil {
		b.Labels = nil
	}
	return b
}

// CheckBatch returns an error that says what of a batch a model of this configuration cannot
// read: a token that it has no embedding for, a position beyond its last.
func (c *Config) CheckBatch(b Batch) error {
	if b.Rows < 1 || len(b.IDs) == 0 || len(b.IDs)%b.Rows != 0 {
		return fmt.Errorf("a batch of %d rows and %d ids: want rows of one length, at least 1", b.Rows, len(b.IDs))
	}
	for _, s := range []struct {
		name     string
		data     []int32
		from, to int // smallest value, and the one past the largest
		or       int // allowed as well
	}{
		{"token id", b.IDs, 0, c.Vocab, 0},
		{"position", b.Positions, 0, c.Context(), 0},
		{"segment", b.Segments, -1, 1 << 31, 0},
		{"label", b.Labels, 0, c.Vocab, int(batch.Ignored)},
	} {
		if s.data != nil && len(s.data) != len(b.IDs) {
			return fmt.Errorf("%d %ss for %d token ids", len(s.data), s.name, len(b.IDs))
		}
		for i, v := range s.data {
			if (int(v) < s.from || int(v) >= s.to) && int(v) != s.or {
				return fmt.Errorf("%s %d in row %d, token %d: want %d to %d", s.name, v, i/b.Len(), i%b.Len(), s.from,
					s.to-1)
			}
		}
	}
	if n := b.MaxPositions(); n > c.Context() {
		return fmt.Errorf("a row of %d tokens: the model has %d positions", n, c.Context())
	}
	return nil
}
