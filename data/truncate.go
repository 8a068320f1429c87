package data

import "slices"

// Truncate is what becomes of a row that has more tokens than a sequence may have.
type Truncate string

const (
	// TruncateEnd cuts the row's end.
	TruncateEnd Truncate = "end"
	// TruncateStart cuts the row's start, behind BOS, but nothing of the last answer: if
	// that alone is too long, its end is cut. Of a text the end stays.
	TruncateStart Truncate = "start"
	// TruncateDrop leaves the row out.
	TruncateDrop Truncate = "drop"
	// TruncateSplit goes on in a new sequence, without BOS: each token is the target of
	// a position once.
	TruncateSplit Truncate = "split"
)

// Truncations lists every Truncate.
func Truncations() []Truncate {
	return []Truncate{TruncateEnd, TruncateStart, TruncateDrop, TruncateSplit}
}

// Meaning returns what becomes of a longer row, in a few words; "": the name says it.
func (t Truncate) Meaning() string {
	return map[Truncate]string{
		TruncateEnd: "cut the end", TruncateStart: "cut the prompt's start", TruncateSplit: "go on in a new sequence",
	}[t]
}

// encoded is a row as tokens, before it is cut. Of n tokens the first n-1 are positions:
// the last one is a target only.
type encoded struct {
	ids    []int32
	target []bool // tokens that the loss is on
	ends   []bool // tokens in whose place an answer has ended: the loss is on eos; nil: none
	eos    int32
	head   int // tokens that stay where the start is cut: BOS
	last   int // where the last answer begins, which stays too

	answer int // token that begins a judged answer, where the prompt counts as well

	behindTurn []int // of a chat's turns: the tokens behind them
}

func promptAndAnswer(prompt, answer []int32) encoded {
	e := encoded{
		ids:    append(append(make([]int32, 0, len(prompt)+len(answer)), prompt...), answer...),
		target: make([]bool, len(prompt)+len(answer)),
		last:   len(prompt),
	}
	for t := range answer {
		e.target[len(prompt)+t] = true
	}
	return e
}

func (e encoded) positions() int { return max(len(e.ids)-1, 0) }

// part is the sequence of the positions from, …, to-1.
func (e encoded) part(from, to int) Sequence {
	s := Sequence{IDs: e.ids[from:to:to], Labels: make([]int32, to-from)}
	for t := range s.Labels {
		s.Labels[t] = Ignored
		switch next := from + t + 1; {
		case e.ends != nil && e.ends[next]:
			s.Labels[t] = e.eos
		case e.target[next]:
			s.Labels[t] = e.ids[next]
		}
	}
	return s
}

// cut makes sequences of at most maxTokens positions, with something to learn in each.
func (e encoded) cut(maxTokens int, policy Truncate) []Sequence {
	var parts []Sequence
	add := func(s Sequence) {
		if s.Counted() > 0 {
			parts = append(parts, s)
		}
	}
	n := e.positions()
	switch {
	case n <= maxTokens:
		add(e.part(0, n))
	case policy == TruncateEnd:
		add(e.part(0, maxTokens))
	case policy == TruncateStart:
		add(e.behind(n-maxTokens).part(0, maxTokens))
	case policy == TruncateSplit:
		for from := 0; from < n; from += maxTokens {
			add(e.part(from, min(from+maxTokens, n)))
		}
	}
	return parts
}

// behind takes tokens off the start: n, if that many stand before the last answer, of
// which something must stay in front so that its first token is a target.
func (e encoded) behind(n int) encoded {
	limit := e.last
	if e.head == 0 {
		limit--
	}
	from := max(e.head, min(e.head+n, limit))
	if e.answer > 0 {
		e.answer -= from - e.head
	}
	e.ids = slices.Concat(e.ids[:e.head], e.ids[from:])
	e.target = slices.Concat(e.target[:e.head], e.target[from:])
	if e.ends != nil {
		e.ends = slices.Concat(e.ends[:e.head], e.ends[from:])
	}
	return e
}
