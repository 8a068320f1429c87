package bench

import (
	"syscall"
	"time"
)

// processPeak is the most memory that the process has had, in bytes; 0 if unknown.
func processPeak() int {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return int(u.Maxrss) << 10
}

// processTime is the processors' time that the process has had; 0 if unknown.
func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
