package bench

import "syscall"

// processPeak is the most memory that the process has had, in bytes; 0 if unknown.
func processPeak() int {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return int(u.Maxrss) << 10
}
