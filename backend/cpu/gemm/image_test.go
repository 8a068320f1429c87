//go:build amd64 && linux && !noasm

package gemm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/image"
	"github.com/agora-ml/agora/internal/cpulevel"
	"github.com/agora-ml/agora/internal/quant"
)

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

// operands are a block in memory of its own, and that memory: A, B and C. By parts A and B have twice as much.
func (s blockCase) operands(r *rand.Rand, parts bool) (b block, a, p, c []byte) {
	width, count := tileSize, 1
	if s.cols > tileSize {
		width = panelSize
	}
	if parts {
		count = 2
	}
	b.rs, b.bs, b.ldc = 64*count*s.k+4*r.IntN(5), 4*count*width, 4*(s.across*width+r.IntN(5))
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

// routine is that of a case, and what it means.
func routine(s blockCase, parts bool) (f, model func(*block)) {
	of, model := &blocksAMX, modelBlock
	if parts {
		of, model = &partsAMX, modelParts
	}
	return of[(s.rows-1)/tileSize][(s.cols-1)/tileSize], model
}

// twice calls f for every case, of pairs and by parts.
func twice(f func(s blockCase, parts bool)) {
	for _, parts := range []bool{false, true} {
		for _, s := range blockCases() {
			f(s, parts)
		}
	}
}

// Routines for AMX write what the model of tiles says, bit for bit.
func TestBlocksAMX(t *testing.T) {
	if cpulevel.BF16() != cpulevel.AMX {
		if os.Getenv("AGORA_REQUIRE_AMX") == "1" {
			t.Fatalf("AGORA_REQUIRE_AMX=1, but %v", cpulevel.Tiles())
		}
		t.Skip("no AMX: tools/emulated.sh runs this")
	}
	r := rand.New(rand.NewPCG(41, 41))
	twice(func(s blockCase, parts bool) {
		b, _, _, c := s.operands(r, parts)
		of, before := b, bytes.Clone(c)
		f, model := routine(s, parts)
		f(&b)
		got := bytes.Clone(c)
		copy(c, before)
		if model(&of); !bytes.Equal(got, c) {
			t.Errorf("%+v, by parts %t: not what the model of tiles says", s, parts)
		}
	})
	for _, s := range packCases(r) {
		got := make([]byte, len(s.want))
		if s.onCPU(&got[0]); !bytes.Equal(got, s.want) {
			t.Errorf("%s: not what plain Go writes", s.name)
		}
	}
}

// A splitCall and a transposeCall are calls with more arguments than an emulated processor gives.
type splitCall struct {
	split               rowsPacker
	dst, src            unsafe.Pointer
	ld, k, panels, size int
}

type transposeCall struct {
	dst           unsafe.Pointer
	step, nextDst int
	src           unsafe.Pointer
	ld, nextSrc   int
	n             int
}

//go:noinline
func (c *splitCall) do() { c.split(c.dst, c.src, c.ld, c.k, c.panels, c.size) }

//go:noinline
func (c *transposeCall) do() { transposeWords(c.dst, c.step, c.nextDst, c.src, c.ld, c.nextSrc, c.n) }

// A packCase is a call of a routine that packs parts: what it writes, of its arguments those in memory, and the call here.
type packCase struct {
	name  string
	f     any
	from  []byte
	want  []byte
	args  func(to, from uint64) []uint64
	onCPU func(to *byte)
}

// packCases are calls with numbers of all sizes, and infinite ones.
func packCases(r *rand.Rand) (all []packCase) {
	numbers := func(n int) []byte {
		b := make([]byte, 0, 4*n)
		for range n {
			x := math.Float32bits(float32(r.NormFloat64()))
			switch r.IntN(12) {
			case 0: // denormal, or nearly so
				x = x&0x807fffff | uint32(r.IntN(20))<<23
			case 1: // large, or infinite
				x = x&0x807fffff | uint32(250+r.IntN(5))<<23
			case 2:
				x = x&(1<<31) | 0x7f7fffff + uint32(r.IntN(2))
			case 3:
				x &= 1 << 31
			}
			b = binary.LittleEndian.AppendUint32(b, x)
		}
		return b
	}
	at := func(b []byte, off int) unsafe.Pointer { return unsafe.Pointer(&b[off]) }
	add := func(name string, f any, from []byte, size int, write func(to, from unsafe.Pointer, model bool), args func(to, from uint64) []uint64) {
		want := make([]byte, size)
		write(at(want, 0), at(from, 0), true)
		all = append(all, packCase{name, f, from, want, args, func(to *byte) { write(unsafe.Pointer(to), at(from, 0), false) }})
	}
	widths := map[int]rowsPacker{tileSize: splitPairs_16, panelSize: splitPairs_32}
	for n := 1; n < 4; n++ {
		lo, step := 64, 128
		if n == 2 {
			lo, step = 64*n, 64
		}
		add(fmt.Sprintf("splitRow of %d", n), splitRow, numbers(32*n), 128*n, func(to, from unsafe.Pointer, model bool) {
			f := splitRow
			if model {
				f = goSplitRow
			}
			f(to, unsafe.Add(to, lo), step, from, n)
		}, func(to, from uint64) []uint64 { return []uint64{to, to + uint64(lo), uint64(step), from, uint64(n)} })
		for _, width := range []int{tileSize, panelSize} {
			f := widths[width]
			ld, k, panels := 4*(n*width+3), 1+n, n
			size := 8*width*k + 64
			add(fmt.Sprintf("splitPairs_%d of %d panels", width, n), (*splitCall).do, numbers(2*k*(ld/4)), size*panels, func(to, from unsafe.Pointer, model bool) {
				f := f
				if model {
					f = goSplitPairs(width)
				}
				f(to, from, ld, k, panels, size)
			}, func(to, from uint64) []uint64 {
				return []uint64{*(*uint64)(unsafe.Pointer(&f)), to, from, uint64(ld), uint64(k), uint64(panels), uint64(size)}
			})
		}
		ld, down := 64*n+4, 64*n+8
		add(fmt.Sprintf("transposeWords of %d", n), (*transposeCall).do, numbers(16*ld/4), 16*down, func(to, from unsafe.Pointer, model bool) {
			f := transposeWords
			if model {
				f = goTransposeWords
			}
			f(to, down, 64, from, ld, 64, n)
		}, func(to, from uint64) []uint64 {
			return []uint64{to, uint64(down), 64, from, uint64(ld), 64, uint64(n)}
		})
	}
	return all
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
		t.Skip("no AVX-512: tools/emulated.sh runs this")
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

// A dotsCall is a product of rows of blocks and a vector, what an emulated processor does.
type dotsCall struct {
	dots        func(sums *float32, x, b unsafe.Pointer, ld, k, rows int)
	sums        *float32
	x, b        unsafe.Pointer
	ld, k, rows int
}

//go:noinline
func (c *dotsCall) do() { c.dots(c.sums, c.x, c.b, c.ld, c.k, c.rows) }

// addBlockDots adds those of every kind in AVX-512, whose bits are AVX2's.
func addBlockDots(m *image.Image, r *rand.Rand) {
	narrow, wide := blockDots, blockDotsAVX512
	narrow[quant.Q8_0], narrow[quant.Q4_0] = dotsQ8, dotsQ4
	wide[quant.Q8_0], wide[quant.Q4_0] = dotsQ8AVX512, dotsQ4AVX512
	for kind := range quant.Types {
		for _, s := range [][2]int{{1, 1}, {2, 3}, {3, 2}, {7, 1}} {
			rows, k := s[0], s[1]*kind.Len()
			ld := kind.Bytes(k) + 1
			b, x, sums := make([]byte, ld*rows), make([]float32, k), make([]float32, rows+2)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			for row := range rows {
				kind.MakeFinite(b[row*ld:][:kind.Bytes(k)])
			}
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			for i := range sums {
				sums[i] = float32(r.NormFloat64())
			}
			raw := func(x []float32) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)) }
			there := m.Put(raw(sums))
			f := wide[kind]
			call := m.PutWords(*(*uint64)(unsafe.Pointer(&f)), there+4, m.Put(raw(x)), m.Put(b), uint64(ld), uint64(k), uint64(rows))
			narrow[kind](&sums[1], unsafe.Pointer(&x[0]), unsafe.Pointer(&b[0]), ld, k, rows)
			m.Call(fmt.Sprintf("dots of %s, %d rows of %d", kind, rows, k), (*dotsCall).do, there, raw(sums), call)
		}
	}
}

// addBytes adds micro-kernels of panels of bytes in AVX-512, whose bits are AVX2's: a panel is two of eight rows, side by side.
func addBytes(m *image.Image, r *rand.Rand) {
	raw := func(x []float32) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)) }
	for kind := range bytesAVX2 {
		narrow, wide, t := &bytesAVX2[kind], &bytesAVX512[kind], quant.Type(kind)
		if narrow.pack == nil {
			continue
		}
		steps := max(64, t.Len()) / 32
		size := steps * stepBytes
		for rows := 1; rows <= turnedRows; rows++ {
			b, a, c := t.Random(r.Uint32, 4*8*32*steps, 1), make([]float32, turnedRows*32*steps), make([]float32, turnedRows*panelSize)
			for _, x := range [][]float32{a, c} {
				for i := range x {
					x[i] = float32(r.NormFloat64())
				}
			}
			before, panels, both := bytes.Clone(raw(c)), make([]byte, 4*size), make([]byte, 4*size)
			for i := range 4 {
				narrow.pack(unsafe.Pointer(&panels[i*size]), unsafe.Pointer(&b[8*i*t.Bytes(32*steps)]), t.Bytes(32*steps), 32*steps)
				for at := 0; at < size; at += 32 { // 32 bytes of each of two panels
					copy(both[i/2*2*size+2*at+i%2*32:], panels[i*size+at:][:32])
				}
			}
			for i, x := range both { // AVX512_VNNI's bytes have no sign
				if i%(2*stepBytes) < 2*panelScalesAt {
					both[i] = x + wide.zero - narrow.zero
				}
			}
			k := tile{ldc: 4 * panelSize, k: 32*steps - 8*(rows%3), skip: 2 * (rows % 3), alpha: 1, acc: rows%2 == 0}
			k.columns(panelSize, panelSize)
			call := k
			call.bs, call.zero = 2*size, wide.zero
			k.bs, k.zero, k.a = size, narrow.zero, unsafe.Pointer(&a[0])
			for i := range 4 {
				k.columns(8, 8)
				if rows <= 4 {
					k.columns(panelColumns, panelColumns)
				}
				k.b, k.c = unsafe.Pointer(&panels[i*size]), unsafe.Pointer(&c[8*i])
				if rows > 4 || i%2 == 0 {
					narrow.tiles[rows](&k)
				}
			}
			there, words := m.Put(before), bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&call)), unsafe.Sizeof(call)))
			for field, x := range map[uintptr]uint64{unsafe.Offsetof(call.a): m.Put(raw(a)), unsafe.Offsetof(call.b): m.Put(both), unsafe.Offsetof(call.c): there} {
				binary.LittleEndian.PutUint64(words[field:], x)
			}
			m.Call(fmt.Sprintf("%d rows by bytes of %s", rows, t), wide.tiles[rows], there, bytes.Clone(raw(c)), m.Put(words))
		}
	}
}

// panelScalesAt is where the scales of eight rows are in a step, behind their bytes.
const panelScalesAt = 256

// addBlock adds a call of a routine of blocks with this argument, which turns C, as it was, into after.
func addBlock(m *image.Image, name string, f func(*block), b block, a, p, before, after []byte) {
	at := m.Put(before)
	raw := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&b)), unsafe.Sizeof(b)))
	for field, x := range map[uintptr]uint64{unsafe.Offsetof(b.a): m.Put(a), unsafe.Offsetof(b.b): m.Put(p), unsafe.Offsetof(b.c): at} {
		binary.LittleEndian.PutUint64(raw[field:], x)
	}
	m.Call(name, f, at, after, m.Put(raw))
}

// memory is what a call reads of A and of B, and C. By parts a row of A has lo behind every hi, one of B behind all.
func (b *block) memory(parts bool) (a, p, c []byte) {
	top, bottom, pairs := int(b.config[48]), int(b.config[50]), int(b.config[54])
	width, right := int(b.config[16]), int(b.config[18])
	rows, stepA, lo := (b.rows-1)*panelSize+top+bottom, 64, 0
	if parts {
		stepA, lo = 128, 64
		if right > 0 {
			lo = 128
		}
	}
	return unsafe.Slice((*byte)(b.a), (rows-1)*b.rs+stepA*b.k-64+4*pairs),
		unsafe.Slice((*byte)(b.b), (b.panels-1)*b.step+((b.k-1)*tileSize+pairs-1)*b.bs+lo+width+right),
		unsafe.Slice((*byte)(b.c), (rows-1)*b.ldc+b.panels*(width+right))
}

// addAttention adds all calls of blocks that attention makes, of bfloat16 or by parts, as the model of tiles computes them.
func addAttention(t *testing.T, m *image.Image, parts bool) {
	model, of, kernel, calls := modelBlock, &blocksAMX, modelAMX, 0
	if parts {
		model, of, kernel = modelParts, &partsAMX, modelPartsKernel
	}
	kernel.blocks = new(blockRoutines)
	for i := range of {
		for j := range of[i] {
			kernel.blocks[i][j] = func(b *block) {
				a, p, c := b.memory(parts)
				argument, before := *b, bytes.Clone(c)
				model(b)
				addBlock(m, fmt.Sprintf("attention's block %d, by parts %t", calls, parts), of[i][j], argument, a, p, before, c)
				calls++
			}
		}
	}
	if parts {
		usePartKernel(t, kernel)
	} else {
		usePairKernel(t, kernel)
	}
	if Attend(t, parts); calls < 50 {
		t.Errorf("attention made %d calls of blocks, by parts %t", calls, parts)
	}
}

// TestImage writes the same calls to a folder for an emulator.
func TestImage(t *testing.T) {
	dir := os.Getenv(image.Variable)
	if dir == "" {
		t.Skip(image.Variable + " is not set: tools/emulated.sh does")
	}
	var m image.Image
	r := rand.New(rand.NewPCG(43, 43))
	twice(func(s blockCase, parts bool) {
		b, a, p, c := s.operands(r, parts)
		argument := b
		before := bytes.Clone(c)
		f, model := routine(s, parts)
		model(&b)
		addBlock(&m, fmt.Sprintf("block %+v, by parts %t", s, parts), f, argument, a, p, before, c)
	})
	addAttention(t, &m, false)
	addAttention(t, &m, true)
	for n := 1; n < 4; n++ {
		from, want, ld, step := transposeCase(r, n)
		to := m.Put(make([]byte, len(want)))
		m.Call(fmt.Sprintf("transposePairs %d", n), transposePairs, to, want, to, uint64(step), m.Put(from), uint64(ld), uint64(n))
	}
	for _, s := range packCases(r) {
		to := m.Put(make([]byte, len(s.want)))
		args := s.args(to, m.Put(s.from))
		if len(args) > 5 {
			args = []uint64{m.PutWords(args...)}
		}
		m.Call(s.name, s.f, to, s.want, args...)
	}
	if cpulevel.Chosen() < cpulevel.AVX2 {
		t.Fatal("this processor has no AVX2")
	}
	addBlockDots(&m, r)
	addBytes(&m, r)
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
}
