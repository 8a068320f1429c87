package vulkan

import "slices"

// recorder collects the commands of a submission and orders them. Two conflict where one
// writes what the other reads or writes; it knows memory as addresses, so that it does not
// matter which tensors share it, or whose it was before. A command goes into the first stage
// behind all that it conflicts with, whatever has been recorded since, and barriers stand
// between stages: as few as the longest chain of conflicts needs. The start of a submission
// is a barrier too.
type recorder struct {
	entries []entry
	stages  []stage // the rest of their capacity keeps the memory of earlier ones
	counts  Counts
	chain   *chain // nil: nobody asks for it

	commands []command // of the last call of ordered
	names    []stamped
}

// entry is a command as it was recorded.
type entry struct {
	command
	name  stamped
	stage int
}

// stage is the commands between two barriers: how many, and what they read and write.
type stage struct {
	n             int
	reads, writes []span
}

// span is the bytes [from, to) of the device's memory.
type span struct{ from, to uint64 }

// Counts are what a backend has done so far.
type Counts struct {
	Calls       int `json:"-"` // of Run; those that have something to do are dispatches
	Dispatches  int `json:"dispatches"`
	Barriers    int `json:"barriers"`
	Writes      int `json:"writes"`              // copies to the device
	Reads       int `json:"reads"`               // and back
	Transfers   int `json:"transfers,omitempty"` // copies to the device beside kernels (tensor.Filler)
	Submissions int `json:"submissions"`
	Waits       int `json:"waits"`     // for a submission to finish
	Pipelines   int `json:"pipelines"` // created
	// Chain is the commands of the longest chain of which each reads what the one before it has written: no
	// order needs fewer barriers. It is 0 unless CountChain was called.
	Chain int `json:"chain,omitempty"`
}

// Since is what was done after before.
func (c Counts) Since(before Counts) Counts {
	return Counts{
		Calls:      c.Calls - before.Calls,
		Dispatches: c.Dispatches - before.Dispatches, Barriers: c.Barriers - before.Barriers,
		Writes: c.Writes - before.Writes, Reads: c.Reads - before.Reads, Transfers: c.Transfers - before.Transfers,
		Submissions: c.Submissions - before.Submissions, Waits: c.Waits - before.Waits,
		Pipelines: c.Pipelines - before.Pipelines, Chain: c.Chain - before.Chain,
	}
}

func (a span) overlaps(b span) bool { return a.from < b.to && b.from < a.to }

func anyOverlap(list []span, s span) bool {
	for _, t := range list {
		if t.overlaps(s) {
			return true
		}
	}
	return false
}

// add records a command that reads and writes these bytes. The caller fills it in before the next one.
func (r *recorder) add(kind commandKind, reads, writes []span, name stamped) *command {
	at := len(r.stages)
	for at > 0 && !r.stages[at-1].conflicts(reads, writes) {
		at--
	}
	if at == len(r.stages) {
		r.open()
	}
	s := &r.stages[at]
	s.n++
	s.reads, s.writes = append(s.reads, reads...), append(s.writes, writes...)
	switch {
	case kind == dispatchCommand:
		r.counts.Dispatches++
	case len(writes) > 0:
		r.counts.Writes++
	default: // to the host
		r.counts.Reads++
	}
	if r.chain != nil {
		r.counts.Chain = r.chain.add(reads, writes)
	}
	r.entries = append(r.entries, entry{command{kind: kind}, name, at})
	return &r.entries[len(r.entries)-1].command
}

// open adds a stage.
func (r *recorder) open() {
	if len(r.stages) > 0 {
		r.counts.Barriers++
	}
	if len(r.stages) == cap(r.stages) {
		r.stages = append(r.stages, stage{})
		return
	}
	r.stages = r.stages[:len(r.stages)+1]
	s := &r.stages[len(r.stages)-1]
	s.n, s.reads, s.writes = 0, s.reads[:0], s.writes[:0]
}

func (s *stage) conflicts(reads, writes []span) bool {
	for _, t := range reads {
		if anyOverlap(s.writes, t) {
			return true
		}
	}
	for _, t := range writes {
		if anyOverlap(s.writes, t) || anyOverlap(s.reads, t) {
			return true
		}
	}
	return false
}

// length is how many commands a submission of what is recorded has, barriers too.
func (r *recorder) length() int { return max(0, len(r.entries)+len(r.stages)-1) }

// ordered is what was recorded, stage by stage with barriers between them, and what each command is called.
// It stands until the next call.
func (r *recorder) ordered() ([]command, []stamped) {
	n := r.length()
	r.commands, r.names = slices.Grow(r.commands[:0], n)[:n], slices.Grow(r.names[:0], n)[:n]
	at := 0
	for i := range r.stages {
		if i > 0 {
			r.commands[at], r.names[at] = command{kind: barrierCommand}, stamped{form: "barrier"}
			at++
		}
		r.stages[i].n, at = at, at+r.stages[i].n
	}
	for i := range r.entries {
		e := &r.entries[i]
		next := &r.stages[e.stage].n // now where its next command goes
		r.commands[*next], r.names[*next] = e.command, e.name
		*next++
	}
	return r.commands, r.names
}

// reset starts the next submission.
func (r *recorder) reset() {
	r.entries, r.stages = r.entries[:0], r.stages[:0]
	r.counts.Submissions++
}
