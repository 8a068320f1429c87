// Package hostmemory tells how much memory a process can still take before the system
// refuses it or kills the process: of the machine, of the control groups that it is in
// (containers, systemd's units, batch jobs), and of its own limits (ulimit -v).
package hostmemory

// Left is the memory that this process can still take.
type Left struct {
	Bytes int    // 0: none, or unknown where By is ""
	By    string // what allows no more, for people: "the machine", "the control group /a (memory.max of 64.0 MiB)"
	// Own is what the process holds already and cannot be taken from it: its heaps and stacks.
	// Bytes are beside it.
	Own int
}

// Known reports whether the system has told anything.
func (l Left) Known() bool { return l.By != "" }
