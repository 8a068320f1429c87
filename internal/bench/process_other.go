//go:build !linux

package bench

import "time"

// processPeak is the most memory that the process has had, in bytes; 0 if unknown.
func processPeak() int { return 0 }

// processTime is the processors' time that the process has had; 0 if unknown.
func processTime() time.Duration { return 0 }
