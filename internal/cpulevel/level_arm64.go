//go:build !noasm

package cpulevel

// levels are those of this architecture.
var levels = []Level{Plain, NEON}

// Every arm64 processor has it.
func supported() Level { return NEON }
