//go:build amd64 && !noasm

package vec

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/image"
	"github.com/agora-ml/agora/internal/quant"
)

// A bitCase is a call whose results are the same bits in AVX-512 as in AVX2. Its inputs and outputs have one length.
type bitCase struct {
	name      string
	ins, outs int
	run       func(out, in [][]float32)
}

// result stores the result of a sum in two elements of an output, or what fits.
func result(out []float32, sum float64) {
	bits := math.Float64bits(sum)
	if len(out) > 1 {
		out[0], out[1] = math.Float32frombits(uint32(bits)), math.Float32frombits(uint32(bits>>32))
	}
}

// halves are as many elements of 16 bits in the memory of float32.
func halves(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// bitCases has functions that capture nothing: TestImage calls them where there is no memory of a program.
func bitCases() (all []bitCase) {
	for _, c := range elementwises {
		all = append(all, bitCase{c.name, c.ins, c.outs, c.run})
	}
	return append(all, []bitCase{
		{"FromBlocks", 1, 1, blocks},
		{"Sum", 1, 1, func(o, x [][]float32) { result(o[0], Sum(x[0])) }},
		{"SumSquares", 1, 1, func(o, x [][]float32) { result(o[0], SumSquares(x[0])) }},
		{"Dot", 2, 1, func(o, x [][]float32) { result(o[0], Dot(x[0], x[1])) }},
		{"dot3", 3, 1, func(o, x [][]float32) { result(o[0], dot3(x[0], x[1], x[2])) }},
		{"sumExpSub", 1, 1, func(o, x [][]float32) { result(o[0], sumExpSub(x[0], 3)) }},
		{"ExpSub, the sum", 1, 2, func(o, x [][]float32) { result(o[1], ExpSub(o[0], x[0], 3)) }},
		{"Max", 1, 1, func(o, x [][]float32) { result(o[0], 1/(1+float64(Max(x[0])))) }}, // a zero has either sign
		{"FromBF16", 1, 1, func(o, x [][]float32) { FromBF16(o[0], halves(x[0])) }},
		{"FromF16", 1, 1, func(o, x [][]float32) { FromF16(o[0], halves(x[0])) }},
		{"ToBF16", 1, 1, func(o, x [][]float32) { ToBF16(halves(o[0]), x[0]) }},
		{"ToF16", 1, 1, func(o, x [][]float32) { ToF16(halves(o[0]), x[0]) }},
		{"AddNarrow", 2, 1, func(o, x [][]float32) { narrowly(&narrowCases[0], o, x) }},
		{"SwiGLUNarrow", 2, 1, func(o, x [][]float32) { narrowly(&narrowCases[1], o, x) }},
		{"SwiGLUGradNarrow", 3, 2, func(o, x [][]float32) { narrowly(&narrowCases[2], o, x) }},
		{"RMSNormRowsNarrow", 2, 1, func(o, x [][]float32) { narrowly(&narrowCases[3], o, x) }},
		{"RMSNormGradRowsNarrow", 3, 1, func(o, x [][]float32) { narrowly(&narrowCases[4], o, x) }},
		{"RMSNormGradRowsNarrow, plus", 4, 1, func(o, x [][]float32) { narrowly(&narrowCases[5], o, x) }},
		{"RoPERowNarrow", 2, 1, func(o, x [][]float32) { narrowly(&narrowCases[6], o, x) }},
		{"DotHeads", 2, 1, func(o, x [][]float32) {
			if rows := len(o[0]) / 16; rows > 0 {
				DotHeads(o[0], rows, x[0], x[1], HeadShape{rows, 1, 1, 16})
				DotHeads(o[0][rows:], 1, x[0], x[1], HeadShape{1, 1, 1, 16 * rows})
			}
		}},
		{"AddHeads", 3, 1, func(o, x [][]float32) {
			copy(o[0], x[2])
			if rows := len(o[0]) / 16; rows > 0 {
				AddHeads(x[0], rows, o[0], x[1], HeadShape{rows, 1, 1, 16})
				AddHeads(x[0], 1, o[0], x[1], HeadShape{1, 1, 1, 16 * rows})
			}
		}},
	}...)
}

// narrowly calls a routine with as many of the elements as it takes, cut off in place, of a type that the length says; the last
// input is w.
func narrowly(c *narrowCase, out, in [][]float32) {
	h, n := Half(len(out[0])/2%2), len(out[0])&^7
	for k := range out {
		out[k] = out[k][:n]
	}
	for k := range in {
		in[k] = in[k][:n]
	}
	c.run(h, allHalves(out), allHalves(in[:c.ins]), in[len(in)-1])
}

// allHalves are as many elements of 16 bits in the memory of each slice of float32.
func allHalves(x [][]float32) [][]uint16 {
	return unsafe.Slice((*[]uint16)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// blocks widens to a whole number of 256 elements, of a kind that the length says, too.
func blocks(o, x [][]float32) {
	kind, n := quant.Type(len(o[0])%256), len(o[0])/256*256
	FromBlocks(kind, o[0][:n], rawBytes(x[0])[:kind.Bytes(n)])
}

// bitLengths are those with which a case is called.
func (c bitCase) bitLengths(more ...int) (all []int) {
	if c.name != "FromBlocks" {
		for n := range 71 {
			all = append(all, n)
		}
		return append(all, more...)
	}
	for kind := range int(quant.Types) {
		all = append(all, 256+kind, 512+kind, 256*255+kind)
	}
	return all
}

// operands are inputs with numbers of all kinds, at odd addresses, for a length.
func (c bitCase) operands(r *rand.Rand, n int) [][]float32 {
	in := make([][]float32, c.ins)
	for k := range in {
		in[k] = normal(r, n+k+1, 4)[k+1:]
		if c.name == "FromBlocks" { // all bytes, with scales that are no NaN
			for i := range in[k] {
				in[k][i] = math.Float32frombits(r.Uint32())
			}
			kind := quant.Type(n % 256)
			kind.MakeFinite(rawBytes(in[k])[:kind.Bytes(n/256*256)])
			continue
		}
		if n%2 == 0 {
			continue // in the others a sum may be lost in a NaN
		}
		for i := range in[k] {
			switch r.IntN(24) {
			case 0:
				in[k][i] = special[r.IntN(len(special))]
			case 1:
				in[k][i] = math.Float32frombits(r.Uint32())
			}
		}
	}
	return in
}

// fencedOutputs is memory for outputs between guard words, and those.
func (c bitCase) fencedOutputs(n int) (whole []float32, out [][]float32) {
	whole = slices.Repeat([]float32{guard}, 16+c.outs*(n+17))
	for k := range c.outs {
		at := 16 + k*(n+17)
		out = append(out, whole[at:at+n:at+n])
	}
	return whole, out
}

func rawBytes(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// useOf switches between the two, where the processor has them.
func useOf(wide bool, f func()) {
	defer func(before bool) { useAVX512 = before }(useAVX512)
	useAVX512 = wide
	f()
}

func TestAVX512HasAVX2sBits(t *testing.T) {
	if !useAVX512 {
		if os.Getenv("AGORA_REQUIRE_AVX512") == "1" {
			t.Fatal("AGORA_REQUIRE_AVX512=1, but this processor has not got it")
		}
		t.Skip("no AVX-512: tools/emulated.sh runs this")
	}
	large := []int{1000, 1<<16 - 1, 1<<16 + 1, 150_001}
	if testing.Short() {
		large = []int{1000}
	}
	r := rand.New(rand.NewPCG(51, 52))
	for _, c := range bitCases() {
		for _, n := range c.bitLengths(large...) {
			in := c.operands(r, n)
			want, wantOut := c.fencedOutputs(n)
			got, out := c.fencedOutputs(n)
			useOf(false, func() { c.run(wantOut, in) })
			useOf(true, func() { c.run(out, in) })
			if !bytes.Equal(rawBytes(got), rawBytes(want)) {
				t.Errorf("%s of %d: other bits than AVX2", c.name, n)
			}
		}
	}
}

// An emulatedCall is what an emulated processor does.
type emulatedCall struct {
	run     func(out, in [][]float32)
	out, in [][]float32
}

//go:noinline
func (c *emulatedCall) do() {
	useAVX2, useAVX512, inf = true, true, math.Float32frombits(0x7f800000) // no init has run
	c.run(c.out, c.in)
}

// TestImage writes calls in AVX-512, with the results of AVX2, to a folder for an emulator.
func TestImage(t *testing.T) {
	dir := os.Getenv(image.Variable)
	if dir == "" {
		t.Skip(image.Variable + " is not set: tools/emulated.sh does")
	}
	if !useAVX2 {
		t.Fatal("this processor has no AVX2")
	}
	var m image.Image
	r := rand.New(rand.NewPCG(53, 54))
	slicesAt := func(at []uint64, n int) uint64 {
		var headers []uint64
		for _, a := range at {
			headers = append(headers, a, uint64(n), uint64(n))
		}
		return m.PutWords(headers...)
	}
	call := func(c bitCase, ins, outs []uint64, n int) uint64 {
		l, o := uint64(len(ins)), uint64(len(outs))
		return m.PutWords(*(*uint64)(unsafe.Pointer(&c.run)), slicesAt(outs, n), o, o, slicesAt(ins, n), l, l)
	}
	for _, c := range bitCases() {
		for _, n := range c.bitLengths(191, 1000, 4097) {
			in := c.operands(r, n)
			whole, out := c.fencedOutputs(n)
			there := m.Put(rawBytes(whole))
			var ins, outs []uint64
			for k, x := range in {
				ins = append(ins, m.Put(append(make([]byte, 4*(k+1)), rawBytes(x)...))+4*uint64(k+1))
			}
			for k := range out {
				outs = append(outs, there+4*uint64(16+k*(n+17)))
			}
			useOf(false, func() { c.run(out, in) })
			m.Call(fmt.Sprintf("%s of %d", c.name, n), (*emulatedCall).do, there, rawBytes(whole), call(c, ins, outs, n))
		}
		if c.name == "FromBlocks" {
			continue
		}
		for n := range 34 { // all in one place, after which there is no memory
			end := []uint64{image.End - 4*uint64(n)}
			m.Call(fmt.Sprintf("%s of %d at the end", c.name, n), (*emulatedCall).do, m.Put([]byte{1}), []byte{1},
				call(c, slices.Repeat(end, c.ins), slices.Repeat(end, c.outs), n))
		}
	}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
}
