package pageend

import (
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"
)

// The element behind the last is a fault, on Linux, and those before are not.
func TestOf(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025} {
		s := Of[uint32](t, n)
		for i := range s {
			s[i] = uint32(i)
		}
		if c := Copy(t, s); !slices.Equal(c, s) {
			t.Errorf("a copy of %d numbers is another", n)
		}
		if runtime.GOOS == "linux" && !faults(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s)), 4*n)) {
			t.Errorf("behind %d numbers there is memory", n)
		}
	}
}

func faults(p unsafe.Pointer) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	runtime.KeepAlive(*(*byte)(p))
	return false
}
