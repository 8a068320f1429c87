//go:build !linux

package bench

// processPeak is the most memory that the process has had, in bytes; 0 if unknown.
func processPeak() int { return 0 }
