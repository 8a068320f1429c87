package batch

import "testing"

func TestWhole(t *testing.T) {
	ids := make([]int32, 6)
	for _, c := range []struct {
		name                string
		rows                int
		positions, segments []int32
		want                bool
	}{
		{"nothing is said", 2, nil, nil, true},
		{"nothing that counts", 2, []int32{0, 1, 2, 0, 1, 2}, []int32{0, 0, 0, 0, 0, 0}, true},
		{"rows of other numbers", 2, nil, []int32{4, 4, 4, 1, 1, 1}, true},
		{"two sequences in a row", 2, []int32{0, 1, 2, 0, 1, 0}, []int32{0, 0, 0, 0, 0, 1}, false},
		{"two segments, positions that go on", 2, nil, []int32{0, 0, 0, 0, 0, 1}, false},
		{"padding", 2, nil, []int32{0, 0, 0, 0, 0, -1}, false},
		{"padding alone", 2, nil, []int32{0, 0, 0, -1, -1, -1}, false},
		{"a later part of a sequence", 2, []int32{0, 1, 2, 3, 4, 5}, nil, false},
		{"one row", 1, []int32{0, 1, 2, 3, 4, 5}, []int32{2, 2, 2, 2, 2, 2}, true},
		{"out of order", 1, []int32{1, 0, 2, 3, 4, 5}, nil, false},
	} {
		b := Batch{Rows: c.rows, IDs: ids, Positions: c.positions, Segments: c.segments}
		if got := b.Whole(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
