package vulkan

// recorder collects the commands of a submission and puts a barrier between two that
// must not overlap: where one writes what the other reads or writes. It knows memory
// as addresses, so that it does not matter which tensors share it, or whose it was before.
// The start of a submission is a barrier too.
type recorder struct {
	commands      []command
	reads, writes []span // since the last barrier
	counts        Counts
}

// span is the bytes [from, to) of the device's memory.
type span struct{ from, to uint64 }

// Counts are what a backend has done so far.
type Counts struct {
	Dispatches  int `json:"dispatches"`
	Barriers    int `json:"barriers"`
	Writes      int `json:"writes"` // copies to the device
	Reads       int `json:"reads"`  // and back
	Submissions int `json:"submissions"`
	Waits       int `json:"waits"`     // for a submission to finish
	Pipelines   int `json:"pipelines"` // created
}

// Since is what was done after before.
func (c Counts) Since(before Counts) Counts {
	return Counts{
		Dispatches: c.Dispatches - before.Dispatches, Barriers: c.Barriers - before.Barriers,
		Writes: c.Writes - before.Writes, Reads: c.Reads - before.Reads,
		Submissions: c.Submissions - before.Submissions, Waits: c.Waits - before.Waits,
		Pipelines: c.Pipelines - before.Pipelines,
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

// add appends a command that reads and writes these bytes, behind a barrier if it needs
// one. The caller fills it in.
func (r *recorder) add(kind commandKind, reads, writes []span) *command {
	if r.conflict(reads, writes) {
		r.commands = append(r.commands, command{kind: barrierCommand})
		r.counts.Barriers++
		r.reads, r.writes = r.reads[:0], r.writes[:0]
	}
	r.reads, r.writes = append(r.reads, reads...), append(r.writes, writes...)
	switch {
	case kind == dispatchCommand:
		r.counts.Dispatches++
	case len(writes) > 0:
		r.counts.Writes++
	default: // to the host
		r.counts.Reads++
	}
	r.commands = append(r.commands, command{kind: kind})
	return &r.commands[len(r.commands)-1]
}

func (r *recorder) conflict(reads, writes []span) bool {
	for _, s := range reads {
		if anyOverlap(r.writes, s) {
			return true
		}
	}
	for _, s := range writes {
		if anyOverlap(r.writes, s) || anyOverlap(r.reads, s) {
			return true
		}
	}
	return false
}

// reset starts the next submission.
func (r *recorder) reset() {
	r.commands = r.commands[:0]
	r.reads, r.writes = r.reads[:0], r.writes[:0]
	r.counts.Submissions++
}
