//go:build !unix

package gemm

import "time"

// cpuTime is unknown here: figures of CPU time mean nothing.
func cpuTime() time.Duration { return 0 }
