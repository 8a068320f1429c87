package hostmemory

import (
	"math"
	"unsafe"

	"golang.org/x/sys/windows"
)

var globalMemoryStatusEx = windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")

// memoryStatus is MEMORYSTATUSEX (sysinfoapi.h), in bytes.
type memoryStatus struct {
	length, load                                                       uint32
	totalPhysical, availablePhysical, totalPageFile, availablePageFile uint64
	totalVirtual, availableVirtual, availableExtendedVirtual           uint64
}

// Available looks at the system now.
func Available() Left {
	s := memoryStatus{length: uint32(unsafe.Sizeof(memoryStatus{}))}
	if ok, _, _ := globalMemoryStatusEx.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return Left{}
	}
	return Left{Bytes: int(min(s.availablePhysical, math.MaxInt)), By: "the machine"}
}
