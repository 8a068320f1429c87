package data

import (
	"math/bits"
	"slices"
)

const (
	openBins   = 256  // rows that packing fills at a time
	packWindow = 1024 // sequences of which the longest are packed first
)

// pack puts sequences, in about the order given, into rows of at most size tokens each:
// best fit. A sequence goes where it leaves the least room; where it fits nowhere, a
// new row begins, and of too many open ones the fullest is closed. Short ones fill the
// gaps better than long ones, and so come later, within a window.
func pack(seqs []Sequence, order []int, size int) [][]int {
	order = slices.Clone(order)
	for window := range slices.Chunk(order, packWindow) {
		slices.SortStableFunc(window, func(a, b int) int { return seqs[b].Tokens() - seqs[a].Tokens() })
	}
	var rows [][]int
	b := bins{byRoom: make([][]int, size+1), some: make([]uint64, size/64+1)}
	for _, s := range order {
		n := seqs[s].Tokens()
		row, room := len(rows), size
		if at := b.first(n); at <= size {
			row, room = b.take(at), at
			rows[row] = append(rows[row], s)
		} else {
			rows = append(rows, []int{s})
		}
		if room -= n; room > 0 {
			b.put(row, room)
		}
		if b.open > openBins {
			b.take(b.first(0))
		}
	}
	return rows
}

// bins are the rows that are being filled, by the room that is left in them.
type bins struct {
	byRoom [][]int
	some   []uint64 // a bit for each room, set where there is such a row
	open   int
}

// first is the least room of an open row that is at least n; beyond all if there is none.
func (b *bins) first(n int) int {
	word, mask := n/64, ^uint64(0)<<(n%64)
	for ; word < len(b.some); word++ {
		if w := b.some[word] & mask; w != 0 {
			return word*64 + bits.TrailingZeros64(w)
		}
		mask = ^uint64(0)
	}
	return word * 64
}

func (b *bins) put(row, room int) {
	b.byRoom[room] = append(b.byRoom[room], row)
	b.some[room/64] |= 1 << (room % 64)
	b.open++
}

func (b *bins) take(room int) (row int) {
	rows := b.byRoom[room]
	row = rows[len(rows)-1]
	b.byRoom[room] = rows[:len(rows)-1]
	if len(rows) == 1 {
		b.some[room/64] &^= 1 << (room % 64)
	}
	b.open--
	return row
}
