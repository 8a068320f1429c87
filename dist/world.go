package dist

// World is the processes of a run. Every one calls Broadcast, AllGather, Share and Barrier in the same order as the
// others, a Send meets one Receive, an Exchange another; then all see the same. A World is for one goroutine at a time.
//
// After an error the processes no longer agree on where they are: the run ends, by Abort.
type World interface {
	Rank() int // of this process: 0 to Size-1
	Size() int

	Send(to int, data []byte) error
	Receive(from int, into []byte) error // as many bytes as are sent
	// Exchange gives another process data, and fills into with what that one gives in its Exchange at the same time.
	Exchange(with int, data, into []byte) error
	// Broadcast fills data, which is as long everywhere, with what the process root has in it.
	Broadcast(root int, data []byte) error
	// AllGather gives what every process has, by rank. The lengths may differ.
	AllGather(own []byte) ([][]byte, error)
	// Share fills all, which is as long everywhere, with the parts of all processes: that of process r begins where that
	// of the one before ends, at ends[r-1], and goes to ends[r]. A process has its own in its place before.
	Share(all []byte, ends []int) error
	Barrier() error // returns when all have come to it

	// Abort ends every process of the run, this one too, with that exit status. It does not return.
	Abort(status int)
	// Close takes leave of the others, and waits for them to do so.
	Close() error
}
