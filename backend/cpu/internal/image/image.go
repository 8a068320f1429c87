// Package image writes the memory of an emulated processor: a test program's own code and calls of its functions, for
// instructions that the processor at hand has not got. tools/emulated.sh runs it, on no operating system.
package image

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Variable names the environment variable with the folder that a test writes an image to.
const Variable = "AGORA_IMAGE"

// Where calls and their data lie in the emulated memory; the program is below. tools/emulated.s knows base.
const (
	base = 64 << 20
	data = base + 1<<20
	most = data + 128<<20
	// words of a call
	arguments = 5
	words     = 1 + arguments + 3
)

// End is where memory ends: 2 MiB before it are for all calls to read and write, and who touches what is behind ends the run.
const End = 1 << 30

// An Image is calls of functions, and what they write.
type Image struct {
	names []string
	table []uint64
	data  []byte
}

// Put stores bytes at a multiple of 64 and returns where.
func (m *Image) Put(b []byte) uint64 {
	m.data = append(m.data, make([]byte, (len(m.data)+63)/64*64-len(m.data))...)
	m.data = append(m.data, b...)
	return data + uint64(len(m.data)-len(b))
}

// PutWords stores words and returns where.
func (m *Image) PutWords(words ...uint64) uint64 {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return m.Put(b)
}

// Call adds a call of a function, of assembly or of Go that allocates nothing, which turns what lies there into after. Its
// arguments are pointers and integers, five at most; variables of its program are those of the file, before init.
func (m *Image) Call(name string, f any, there uint64, after []byte, args ...uint64) {
	m.names = append(m.names, name)
	m.table = append(m.table, uint64(reflect.ValueOf(f).Pointer()))
	m.table = append(append(m.table, args...), make([]uint64, arguments-len(args))...)
	m.table = append(m.table, there, m.Put(after), uint64(len(after)))
}

// Write writes files to a folder: calls, with their data, the program as code, its address, and the names of the calls, one
// a line.
func (m *Image) Write(dir string) error {
	all := binary.LittleEndian.AppendUint64(nil, uint64(len(m.table)/words))
	for _, x := range m.table {
		all = binary.LittleEndian.AppendUint64(all, x)
	}
	if len(all) > data-base || len(m.data) > most-data {
		return fmt.Errorf("%d bytes of calls and %d of data, want at most %d and %d", len(all), len(m.data), data-base, most-data)
	}
	all = append(all, make([]byte, data-base-len(all))...)
	code, address, err := program("/proc/self/exe")
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{
		"calls": append(all, m.data...), "code": code, "address": fmt.Appendf(nil, "%#x", address),
		"names": []byte(strings.Join(m.names, "\n") + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// program is the memory of a program that is not relocated, and its address: code and data as they are in its file.
func program(path string) (memory []byte, address uint64, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	address = math.MaxUint64
	for _, p := range file.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		address = min(address, p.Vaddr)
		if p.Vaddr < address || p.Vaddr+p.Filesz > base {
			return nil, 0, fmt.Errorf("%s: a segment at %#x, want them in order and below %#x", path, p.Vaddr, base)
		}
		memory = append(memory, make([]byte, p.Vaddr-address-uint64(len(memory)))...)
		segment, err := io.ReadAll(p.Open())
		if err != nil {
			return nil, 0, err
		}
		memory = append(memory, segment...)
	}
	return memory, address, nil
}
