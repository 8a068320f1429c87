package data

import (
	"math"

	"github.com/agora-ml/agora/random"
)

// draws are the sequences of a mixture in the order in which they are drawn. Which task a draw
// is of follows from the seed and its number, until a task is used up; which row of the task, from
// the seed, the task and how often it was drawn.
type draws struct {
	seqs   []Sequence
	seed   uint64
	tasks  []taskDraws
	chance *random.Stream
	limits []uint64 // a draw is of the first task whose limit is above 32 random bits
	left   int      // tasks that are not used up
	number int      // of the next draw
	most   int      // draws; 0: as many as there are
}

// taskDraws is what has been drawn of one task.
type taskDraws struct {
	share
	weight float64
	drawn  int
	order  []int // of the rows in this epoch: numbers in share.sequences
}

// taskOrder is the first op of random.Order that orders a task's rows; epochs have those before.
const taskOrder = 2

func newDraws(seqs []Sequence, m Mixture, shares []share, seed uint64) *draws {
	d := &draws{seqs: seqs, seed: seed, chance: random.NewStream(seed, random.Mixture, 0, 0), left: len(shares)}
	for t, s := range shares {
		d.tasks = append(d.tasks, taskDraws{share: s, weight: m.weight(t, s)})
	}
	d.setLimits()
	return d
}

// setLimits shares the chance out among the tasks that are not used up.
func (d *draws) setLimits() {
	total := 0.0
	for _, t := range d.tasks {
		total += t.chance()
	}
	d.limits = make([]uint64, len(d.tasks))
	sum := 0.0
	for i, t := range d.tasks {
		sum += t.chance()
		d.limits[i] = uint64(math.Round(math.Ldexp(sum/total, 32)))
	}
	for i := len(d.tasks) - 1; i >= 0 && d.left > 0; i-- { // the last one has what rounding left
		d.limits[i] = 1 << 32
		if !d.tasks[i].usedUp() {
			break
		}
	}
}

func (t *taskDraws) usedUp() bool { return t.draws > 0 && t.drawn == t.draws }

func (t *taskDraws) chance() float64 {
	if t.usedUp() {
		return 0
	}
	return t.weight
}

// next draws a sequence; false when all tasks are used up.
func (d *draws) next() (Sequence, bool) {
	if d.left == 0 || d.most > 0 && d.number == d.most {
		return Sequence{}, false
	}
	d.number++
	chosen, bits := 0, uint64(d.chance.Uint32())
	for bits >= d.limits[chosen] {
		chosen++
	}
	t := &d.tasks[chosen]
	n := len(t.sequences)
	if t.drawn%n == 0 {
		t.order = random.NewStream(d.seed, random.Order, uint32(t.drawn/n), taskOrder+uint32(chosen)).Perm(n)
	}
	s := d.seqs[t.sequences[t.order[t.drawn%n]]]
	if t.drawn++; t.usedUp() {
		d.left--
		d.setLimits()
	}
	return s, true
}

// mixed is the stream of rows of a mixture: a draw is a row, or packDraws of them are packed into
// rows together. It goes forward only.
type mixed struct {
	*draws
	pack  int // tokens of a packed row; 0: a sequence is a row
	start int // number of rows[0]
	rows  [][]Sequence
	packs int // made so far
}

// packDraws is how many draws are packed at a time: enough that gaps fill well.
const packDraws = 4096

// batch is the rows of a batch of that many; fewer, or none, at the end of a mixture that ends.
func (m *mixed) batch(number, rows int) (batch [][]Sequence) {
	for i := number * rows; i < (number+1)*rows; i++ {
		for i-m.start >= len(m.rows) {
			m.start += len(m.rows)
			if m.fill(); len(m.rows) == 0 {
				return batch
			}
		}
		batch = append(batch, m.rows[i-m.start])
	}
	return batch
}

// fill draws the next rows; none at the end.
func (m *mixed) fill() {
	m.rows = m.rows[:0:0]
	if m.pack == 0 {
		if s, ok := m.next(); ok {
			m.rows = [][]Sequence{{s}}
		}
		return
	}
	var seqs []Sequence
	var order []int
	for len(seqs) < packDraws {
		s, ok := m.next()
		if !ok {
			break
		}
		order = append(order, len(seqs))
		seqs = append(seqs, s)
	}
	bins := pack(seqs, order, m.pack)
	for _, b := range random.NewStream(m.seed, random.Mixture, uint32(m.packs), 1).Perm(len(bins)) {
		var row []Sequence
		for _, s := range bins[b] {
			row = append(row, seqs[s])
		}
		m.rows = append(m.rows, row)
	}
	m.packs++
}
