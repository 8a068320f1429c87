//go:build !linux || !amd64 || noasm

package cpulevel

import "errors"

// Tiles says why AMX's tiles are not used.
func Tiles() error { return errors.New("tiles are used on Linux, on processors with AMX") }
