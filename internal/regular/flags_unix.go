//go:build unix

package regular

import "syscall"

const (
	nonblocking = syscall.O_NONBLOCK // an open of a pipe does not wait for its other end
	noFollow    = syscall.O_NOFOLLOW
)
