//go:build !noasm

package cpulevel

import (
	"fmt"
	"sync"
	"syscall"
)

// Linux's arch_prctl (asm/prctl.h) and the number of the tiles among the states of XSAVE.
const (
	requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
	tileData          = 18     // XFEATURE_XTILEDATA
)

// Tiles asks Linux once for the use of AMX's tiles, by all threads of the process, and says why not if it
// refuses: kernels before 5.16 do, and so may a sandbox. It is asked late, by the first product that could use them,
// because from then on a thread of C code with a signal stack too small for them gets an error.
var Tiles = sync.OnceValue(func() error {
	if Chosen() != AMX {
		return fmt.Errorf("this process uses %s", Chosen())
	}
	if _, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0); err != 0 {
		return fmt.Errorf("no permission for tiles from Linux (arch_prctl, ARCH_REQ_XCOMP_PERM): %w", err)
	}
	return nil
})
