package hostmemory

import (
	"math"

	"golang.org/x/sys/unix"
)

// Available looks at the system now. What is free is not told without C: it is the machine's
// whole memory, which nothing larger fits into.
func Available() Left {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return Left{}
	}
	return Left{Bytes: int(min(n, math.MaxInt)), By: "the machine"}
}
