//go:build unix

package regular

import "syscall"

// nonblocking keeps an open of a pipe from waiting for its other end.
const nonblocking = syscall.O_NONBLOCK
