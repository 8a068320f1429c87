//go:build amd64 && linux && !noasm

package gemm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
)

// An image is the memory of an emulated processor from imageBase on: calls of assembly functions, and what the model says
// that they write. tools/amx-emulated.s runs it.
type image struct {
	table []uint64
	data  []byte
}

const (
	imageBase = 64 << 20
	imageData = imageBase + 1<<16
)

// put stores bytes at a multiple of 64 and returns where.
func (m *image) put(b []byte) uint64 {
	m.data = append(m.data, make([]byte, roundUp(len(m.data), 64)-len(m.data))...)
	m.data = append(m.data, b...)
	return imageData + uint64(len(m.data)-len(b))
}

// call adds a call of a function that turns before, which lies there, into after.
func (m *image) call(f any, there uint64, after []byte, args ...uint64) {
	m.table = append(m.table, uint64(reflect.ValueOf(f).Pointer()))
	m.table = append(append(m.table, args...), make([]uint64, 5-len(args))...)
	m.table = append(m.table, there, m.put(after), uint64(len(after)))
}

// A blockCase is a call of a routine of blocks: rows and columns of the last panel or of all, pairs of the tiles.
type blockCase struct{ rows, cols, pairs, k, down, across, acc int }

func blockCases() (all []blockCase) {
	for i, rows := range []int{1, 7, 15, 16, 17, 31, 32} {
		for j, cols := range []int{1, 5, 15, 16, 17, 30, 32} {
			c := blockCase{rows, cols, []int{16, 1, 16, 7, 15, 16}[(i+j)%6], 1 + (i*j)%3, 1, 1, (i + j) % 2}
			if rows == 32 {
				c.down = 1 + j%3
			}
			if cols == 32 {
				c.across = 1 + i%3
			}
			all = append(all, c)
		}
	}
	return all
}

// operands are a block in memory of its own, and that memory: A, B and C.
func (s blockCase) operands(r *rand.Rand) (b block, a, p, c []byte) {
	width := tileSize
	if s.cols > tileSize {
		width = panelSize
	}
	b.rs, b.bs, b.ldc = 64*s.k+4*r.IntN(5), 4*width, 4*(s.across*width+r.IntN(5))
	b.step = b.bs * (tileSize*s.k + r.IntN(3))
	b.k, b.rows, b.panels, b.acc = s.k, s.down, s.across, s.acc
	b.configure(s.rows, s.cols, s.pairs)
	a, p, c = make([]byte, b.rs*panelSize*s.down), make([]byte, b.step*s.across), make([]byte, b.ldc*panelSize*s.down)
	for _, x := range [][]byte{a, p} {
		for i := 0; i+1 < len(x); i += 2 {
			v := bf16(float32(r.NormFloat64()))
			switch r.IntN(40) {
			case 0: // denormal
				v &= 0x807f
			case 1: // so small that products are
				v = v&0x807f | uint16(20+r.IntN(50))<<7
			case 2: // so large that they are not finite
				v = v&0x807f | uint16(180+r.IntN(12))<<7
			}
			binary.LittleEndian.PutUint16(x[i:], v)
		}
	}
	for i := 0; i < len(c); i += 4 {
		binary.LittleEndian.PutUint32(c[i:], math.Float32bits(float32(r.NormFloat64())))
	}
	at := func(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
	b.a, b.b, b.c = at(a), at(p), at(c)
	return b, a, p, c
}

func routine(s blockCase) func(*block) { return blocksAMX[(s.rows-1)/tileSize][(s.cols-1)/tileSize] }

// Routines for AMX write what the model of tiles says, bit for bit.
func TestBlocksAMX(t *testing.T) {
	if cpulevel.BF16() != cpulevel.AMX {
		if os.Getenv("AGORA_REQUIRE_AMX") == "1" {
			t.Fatalf("AGORA_REQUIRE_AMX=1, but %v", cpulevel.Tiles())
		}
		t.Skip("no AMX: tools/amx-emulated.sh runs this")
	}
	r := rand.New(rand.NewPCG(41, 41))
	for _, s := range blockCases() {
		b, _, _, c := s.operands(r)
		model, before := b, bytes.Clone(c)
		routine(s)(&b)
		got := bytes.Clone(c)
		copy(c, before)
		if modelBlock(&model); !bytes.Equal(got, c) {
			t.Errorf("%+v: not what the model of tiles says", s)
		}
	}
}

// transposeCase is pairs of rows to transpose, and what they become.
func transposeCase(r *rand.Rand, n int) (from, to []byte, ld, step int) {
	ld, step = 2*(tileSize+r.IntN(5)), 64*n+4*r.IntN(3)
	from, to = make([]byte, 2*tileSize*n*ld), make([]byte, tileSize*step)
	for i := range from {
		from[i] = byte(r.Uint32())
	}
	for i := range tileSize {
		for l := range tileSize * n {
			copy(to[i*step+4*l:], from[2*l*ld+2*i:][:2])
			copy(to[i*step+4*l+2:], from[(2*l+1)*ld+2*i:][:2])
		}
	}
	return from, to, ld, step
}

func TestTransposePairs(t *testing.T) {
	if cpulevel.Chosen() < cpulevel.AVX512 {
		if os.Getenv("AGORA_REQUIRE_AVX512") == "1" {
			t.Fatal("AGORA_REQUIRE_AVX512=1, but this processor has not got it")
		}
		t.Skip("no AVX-512: tools/amx-emulated.sh runs this")
	}
	r := rand.New(rand.NewPCG(42, 42))
	for n := 1; n < 4; n++ {
		from, want, ld, step := transposeCase(r, n)
		got := make([]byte, len(want))
		transposePairs(unsafe.Pointer(&got[0]), step, unsafe.Pointer(&from[0]), ld, n)
		if !bytes.Equal(got, want) {
			t.Errorf("%d times 16 pairs of rows of %d bytes: wrong", n, ld)
		}
	}
}

// TestImage writes the same calls, and the program's own code, to a folder for an emulator.
func TestImage(t *testing.T) {
	dir := os.Getenv("AGORA_AMX_IMAGE")
	if dir == "" {
		t.Skip("AGORA_AMX_IMAGE is not set: tools/amx-emulated.sh does")
	}
	var m image
	r := rand.New(rand.NewPCG(43, 43))
	for _, s := range blockCases() {
		b, a, p, c := s.operands(r)
		argument := b
		before := bytes.Clone(c)
		modelBlock(&b)
		at := m.put(before)
		raw := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&argument)), unsafe.Sizeof(argument)))
		for field, x := range map[uintptr]uint64{unsafe.Offsetof(b.a): m.put(a), unsafe.Offsetof(b.b): m.put(p), unsafe.Offsetof(b.c): at} {
			binary.LittleEndian.PutUint64(raw[field:], x)
		}
		m.call(routine(s), at, c, m.put(raw))
	}
	for n := 1; n < 4; n++ {
		from, want, ld, step := transposeCase(r, n)
		to := m.put(make([]byte, len(want)))
		m.call(transposePairs, to, want, to, uint64(step), m.put(from), uint64(ld), uint64(n))
	}
	all := binary.LittleEndian.AppendUint64(nil, uint64(len(m.table)/9))
	for _, x := range m.table {
		all = binary.LittleEndian.AppendUint64(all, x)
	}
	if len(all) > imageData-imageBase {
		t.Fatalf("%d bytes of calls", len(all))
	}
	all = append(all, make([]byte, imageData-imageBase-len(all))...)
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("calls", append(all, m.data...))
	// The code, as it lies in a program that is not relocated: its first executable mapping.
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(maps) {
		var from, to uintptr
		var mode string
		if _, err := fmt.Sscanf(string(line), "%x-%x %s", &from, &to, &mode); err == nil && mode == "r-xp" {
			memory, err := os.ReadFile("/proc/self/exe")
			if err != nil {
				t.Fatal(err)
			}
			var offset uintptr
			fmt.Sscanf(string(line), "%x-%x %s %x", &from, &to, &mode, &offset)
			write("code", memory[offset:min(offset+to-from, uintptr(len(memory)))])
			write("address", fmt.Appendf(nil, "%#x", from))
			write("count", fmt.Appendf(nil, "%d", len(m.table)/9))
			return
		}
	}
	t.Fatal("no executable mapping")
}
