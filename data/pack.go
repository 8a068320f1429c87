package data

// openBins is how many rows packing fills at a time: more fill better, a little, and
// take longer.
const openBins = 64

// pack puts sequences, in the order given, into rows of at most size tokens each: best
// fit. A sequence goes where it leaves the least room; where it fits nowhere, a new
// row begins, and of too many open ones the fullest is closed.
func pack(seqs []Sequence, order []int, size int) [][]int {
	type bin struct {
		room int
		rows []int
	}
	var open []bin
	var closed [][]int
	end := func(i int) {
		closed = append(closed, open[i].rows)
		open[i] = open[len(open)-1]
		open = open[:len(open)-1]
	}
	for _, s := range order {
		n := len(seqs[s].IDs)
		best, fullest := -1, 0
		for i, b := range open {
			if n <= b.room && (best < 0 || b.room < open[best].room) {
				best = i
			}
			if b.room < open[fullest].room {
				fullest = i
			}
		}
		if best < 0 {
			if len(open) == openBins {
				end(fullest)
			}
			best = len(open)
			open = append(open, bin{room: size})
		}
		b := &open[best]
		b.room -= n
		b.rows = append(b.rows, s)
		if b.room == 0 {
			end(best)
		}
	}
	for _, b := range open {
		closed = append(closed, b.rows)
	}
	return closed
}
