package mapped

import (
	"errors"
	"io/fs"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"
)

// ErrCutShort is the error of a file that has lost its end, by another program, since it was
// opened.
var ErrCutShort = errors.New("the file was cut short while it was being read")

// Guard calls f, which may touch mapped files, and turns the fault of a page that is not
// there any more into an error with the file's path that wraps ErrCutShort. It holds for the
// goroutine that calls it: one that f starts needs a Guard of its own. Without one, such a
// fault ends the program.
func Guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			if err = Cut(r); err == nil {
				panic(r)
			}
		}
	}()
	return f()
}

// Cut is what Guard makes of a recovered panic: nil if that is no fault in a mapped file.
func Cut(recovered any) error {
	fault, ok := recovered.(interface{ Addr() uintptr }) // as debug.SetPanicOnFault says
	if !ok {
		return nil
	}
	path := open.find(fault.Addr())
	if path == "" {
		return nil
	}
	return &fs.PathError{Op: "read", Path: path, Err: ErrCutShort}
}

// mapping is where a file is, or was until lately, in memory.
type mapping struct {
	begin, end uintptr
	path       string
	data       *byte       // at begin
	info       fs.FileInfo // when it was opened
}

// mappings are those that are open, and behind them the last that were closed: deferred
// calls close files before a fault is recovered from.
type mappings struct {
	mu   sync.Mutex
	list []mapping
	past []mapping
}

var open mappings

// mostPast is how many closed files are remembered: more than one operation has open, a
// model's shards apart, of which one is enough.
const mostPast = 256

func (m *mappings) add(data []byte, path string, info fs.FileInfo) mapping {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	one := mapping{begin, begin + uintptr(len(data)), path, unsafe.SliceData(data), info}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, one)
	return one
}

func (m *mappings) remove(one mapping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.list, one); i >= 0 {
		m.list = slices.Delete(m.list, i, i+1)
		m.past = append(m.past[max(0, len(m.past)-mostPast+1):], one)
	}
}

// find is the path of the file at an address, or "".
func (m *mappings) find(address uintptr) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, list := range [][]mapping{m.list, m.past} {
		for _, one := range slices.Backward(list) {
			if one.begin <= address && address < one.end {
				return one.path
			}
		}
	}
	return ""
}
