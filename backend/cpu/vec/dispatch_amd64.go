//go:build !noasm

package vec

import "golang.org/x/sys/cpu"

// useAVX2 is constant after start; tests switch it.
var useAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
