package data

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/random"
)

// Epoch is one pass over the sequences.
type Epoch struct {
	Rows   int     `json:"rows"`   // of its batches: sequences, or what they are packed in
	Tokens int     `json:"tokens"` // padding apart
	Fill   float64 `json:"fill"`   // share of the batches' positions that are no padding
}

// FirstEpoch describes the first epoch of a Loader. Later ones are packed a little
// otherwise. Of a Mixture it is as many draws as there are sequences.
func FirstEpoch(seqs []Sequence, o LoaderOptions) (Epoch, error) {
	if err := o.check(seqs); err != nil {
		return Epoch{}, fmt.Errorf("data: %w", err)
	}
	rows := o.firstEpoch(seqs)
	e := Epoch{Rows: len(rows)}
	positions := 0
	for batch := range slices.Chunk(rows, o.Rows) {
		batch = unfold(batch, o.Pack > 0)
		longest := o.Pack
		for _, row := range batch {
			n := 0
			for _, s := range row {
				n += len(s.IDs)
			}
			e.Tokens += n
			longest = max(longest, n)
		}
		positions += longest * len(batch)
	}
	e.Fill = float64(e.Tokens) / float64(positions)
	return e, nil
}

// firstEpoch are the rows of the first epoch, in their order but for those of packed draws.
func (o LoaderOptions) firstEpoch(seqs []Sequence) (rows [][]Sequence) {
	if o.Mixture == nil {
		e := newEpochs(seqs, o.Pack, o.Seed)
		for i := range e.rows {
			rows = append(rows, e.row(i))
		}
		return rows
	}
	m := o.stream(seqs).(*mixed)
	m.most = len(seqs)
	for {
		if m.fill(); len(m.rows) == 0 {
			return rows
		}
		rows = append(rows, m.rows...)
	}
}

// epochs is the stream of rows that batches are cut from: epoch after epoch, each with
// every sequence once. It goes forward only, with one epoch in memory.
type epochs struct {
	seqs  []Sequence
	pack  int // tokens of a packed row; 0: a sequence is a row
	seed  uint64
	epoch int
	start int     // number of the epoch's first row
	rows  [][]int // the epoch's, by the numbers of their sequences
}

func newEpochs(seqs []Sequence, pack int, seed uint64) *epochs {
	e := &epochs{seqs: seqs, pack: pack, seed: seed}
	e.shuffle()
	return e
}

// shuffle orders the epoch. Packed rows are shuffled once more: those that filled badly
// were closed last.
func (e *epochs) shuffle() {
	perm := func(op uint32, n int) []int {
		return random.NewStream(e.seed, random.Order, uint32(e.epoch), op).Perm(n)
	}
	order := perm(0, len(e.seqs))
	if e.pack == 0 {
		e.rows = make([][]int, len(order))
		for i := range order {
			e.rows[i] = order[i : i+1]
		}
		return
	}
	bins := pack(e.seqs, order, e.pack)
	e.rows = make([][]int, len(bins))
	for i, b := range perm(1, len(bins)) {
		e.rows[i] = bins[b]
	}
}

// row is the row of that number, which is not below those asked for before.
func (e *epochs) row(number int) []Sequence {
	e.seek(number)
	var row []Sequence
	for _, s := range e.rows[number-e.start] {
		row = append(row, e.seqs[s])
	}
	return row
}

func (e *epochs) seek(number int) {
	if e.pack == 0 && number-e.start >= len(e.rows) { // all epochs have as many rows
		skip := (number-e.start)/len(e.rows) - 1
		e.epoch += skip
		e.start += skip * len(e.rows)
	}
	for number-e.start >= len(e.rows) {
		e.start += len(e.rows)
		e.epoch++
		e.shuffle()
	}
}

// batch is the rows of a batch of that many.
func (e *epochs) batch(number, rows int) [][]Sequence {
	batch := make([][]Sequence, rows)
	for i := range batch {
		batch[i] = e.row(number*rows + i)
	}
	return batch
}
