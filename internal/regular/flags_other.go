//go:build !unix

package regular

const (
	nonblocking = 0
	noFollow    = 0
)
