package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// A narrowCase is a routine of 16 bits, and what it means: the same of slices that are widened before, whose results are rounded after.
// w are as many numbers of float32. The functions capture nothing: see bitCases.
type narrowCase struct {
	name      string
	ins, outs int
	run       func(h Half, o, x [][]uint16, w []float32)
	wide      func(o, x [][]float32, w []float32)
}

var narrowCases = []narrowCase{
	{"AddNarrow", 2, 1, func(h Half, o, x [][]uint16, _ []float32) { AddNarrow(h, o[0], x[0], x[1]) },
		func(o, x [][]float32, _ []float32) { Add(o[0], x[0], x[1]) }},
	{"SwiGLUNarrow", 2, 1, func(h Half, o, x [][]uint16, _ []float32) { SwiGLUNarrow(h, o[0], x[0], x[1]) },
		func(o, x [][]float32, _ []float32) { SwiGLU(o[0], x[0], x[1]) }},
	{"SwiGLUGradNarrow", 3, 2, func(h Half, o, x [][]uint16, _ []float32) { SwiGLUGradNarrow(h, o[0], o[1], x[0], x[1], x[2]) },
		func(o, x [][]float32, _ []float32) { SwiGLUGrad(o[0], o[1], x[0], x[1], x[2]) }},
	{"RMSNormRowsNarrow", 1, 1, func(h Half, o, x [][]uint16, w []float32) {
		rows, n := rowsOf(len(w))
		RMSNormRowsNarrow(h, o[0], x[0], w[:n], w[len(w)-rows:], 1e-5)
	}, func(o, x [][]float32, w []float32) {
		rows, n := rowsOf(len(w))
		RMSNormRows(o[0], x[0], w[:n], w[len(w)-rows:], 1e-5)
	}},
	{"RMSNormGradRowsNarrow", 2, 1, func(h Half, o, x [][]uint16, w []float32) {
		rows, n := rowsOf(len(w))
		RMSNormGradRowsNarrow(h, o[0], x[0], x[1], w[:n], nil, w[:rows])
	}, func(o, x [][]float32, w []float32) {
		rows, n := rowsOf(len(w))
		RMSNormGradRows(o[0], x[0], x[1], w[:n], nil, w[:rows])
	}},
	{"RMSNormGradRowsNarrow, plus", 3, 1, func(h Half, o, x [][]uint16, w []float32) {
		rows, n := rowsOf(len(w))
		RMSNormGradRowsNarrow(h, o[0], x[0], x[1], w[:n], x[2], w[:rows])
	}, func(o, x [][]float32, w []float32) {
		rows, n := rowsOf(len(w))
		RMSNormGradRows(o[0], x[0], x[1], w[:n], nil, w[:rows])
		Add(o[0], x[2], o[0])
	}},
	{"RoPERowNarrow", 1, 1, func(h Half, o, x [][]uint16, w []float32) {
		for _, heads := range headsOf(len(w)) {
			RoPERowNarrow(h, o[0], x[0], w[:len(w)/heads], -1)
		}
	}, func(o, x [][]float32, w []float32) {
		for _, heads := range headsOf(len(w)) {
			RoPERow(o[0], x[0], w[:len(w)/heads], -1)
		}
	}},
}

// rowsOf is n elements as rows of multiples of 8.
func rowsOf(n int) (rows, of int) {
	switch {
	case n == 0:
		return 0, 0
	case n%56 == 0:
		return 7, n / 7
	}
	return 1, n
}

// headsOf is numbers of heads that n elements may be: whose halves are multiples of 8.
func headsOf(n int) []int {
	switch {
	case n == 0 || n%16 != 0:
		return nil
	case n%48 != 0:
		return ones[:]
	}
	return onesAndThrees[:]
}

var (
	ones          = [1]int{1}
	onesAndThrees = [2]int{1, 3}
)

// toHalf and fromHalf round and widen.
func toHalf(h Half, dst []uint16, src []float32) {
	if h == BF16 {
		ToBF16(dst, src)
	} else {
		ToF16(dst, src)
	}
}

func fromHalf(h Half, dst []float32, src []uint16) {
	if h == BF16 {
		FromBF16(dst, src)
	} else {
		FromF16(dst, src)
	}
}

func isNaN(h Half, x uint16) bool {
	var wide [1]float32
	fromHalf(h, wide[:], []uint16{x})
	return wide[0] != wide[0]
}

// halfBits are elements of all kinds: every second of a random pattern, among which are NaN, infinities and denormal numbers, the
// others numbers near 1; tame ones are only those.
func halfBits(r *rand.Rand, h Half, n int, tame bool) []uint16 {
	x := make([]uint16, n)
	toHalf(h, x, normal(r, n, 2))
	for i := range x {
		if !tame && i%2 == 0 {
			x[i] = uint16(r.Uint32())
		}
	}
	return x
}

func TestNarrow(t *testing.T) {
	const guard = 0x7777
	lengths := []int{1000, 1<<16 + 8, 150_000}
	for n := 0; n <= 200; n += 8 {
		lengths = append(lengths, n)
	}
	r := rand.New(rand.NewPCG(61, 62))
	eachImplementation(t, func(t *testing.T) {
		if Narrow(9) || Narrow(8) != hasNarrow() {
			t.Error("Narrow is for multiples of 8 where there is assembly")
		}
		if !Narrow(8) {
			t.Skip("no such routines")
		}
		for _, c := range narrowCases {
			for _, n := range lengths {
				for _, h := range []Half{F16, BF16} {
					for _, tame := range []bool{true, false} {
						c.compare(t, r, h, n, tame, guard)
					}
				}
			}
		}
	})
}

func (c narrowCase) compare(t *testing.T, r *rand.Rand, h Half, n int, tame bool, guard uint16) {
	var in, out, whole [][]uint16
	var wideIn, wideOut [][]float32
	for k := range c.ins {
		in = append(in, halfBits(r, h, n+k+1, tame)[k+1:])
		wideIn = append(wideIn, make([]float32, n))
		fromHalf(h, wideIn[k], in[k])
	}
	for k := range c.outs {
		whole = append(whole, slices.Repeat([]uint16{guard}, n+32))
		out = append(out, whole[k][15:15+n])
		wideOut = append(wideOut, make([]float32, n))
	}
	w := normal(r, n, 1)
	c.run(h, out, in, w)
	c.wide(wideOut, wideIn, w)
	if c.name == "RoPERowNarrow" && len(headsOf(n)) == 0 {
		return
	}
	for k := range out {
		want := slices.Repeat([]uint16{guard}, n+32)
		toHalf(h, want[15:15+n], wideOut[k])
		for i, v := range whole[k] {
			if n > 1<<16 && isNaN(h, v) && isNaN(h, want[i]) {
				continue // which of several NaN a sum of pieces is, compilers choose
			}
			if v != want[i] {
				t.Errorf("%s of %d, type %d: output %d, element %d of %d: %#x, of widened slices %#x", c.name, n, h, k, i-15, n, v, want[i])
				return
			}
		}
	}
}

// TestNarrowInPlace: a destination may be a source.
func TestNarrowInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	eachImplementation(t, func(t *testing.T) {
		if !Narrow(8) {
			t.Skip("no such routines")
		}
		for _, c := range narrowCases {
			if c.name == "RoPERowNarrow" { // which reads its source twice: see below
				continue
			}
			for _, n := range []int{48, 96, 432, 448} {
				w := normal(r, n, 1)
				var in, out [][]uint16
				for range c.ins {
					in = append(in, halfBits(r, BF16, n, true))
				}
				for range c.outs {
					out = append(out, make([]uint16, n))
				}
				c.run(BF16, out, in, w)
				c.run(BF16, in[:c.outs], in, w)
				for k := range out {
					if !slices.Equal(in[k], out[k]) {
						t.Errorf("%s of %d: other bits in place", c.name, n)
					}
				}
			}
		}
		x := halfBits(r, BF16, 6*48, true)
		y := make([]uint16, len(x))
		table := normal(r, 48, 1)
		RoPERowNarrow(BF16, y, x, table, 1)
		RoPERowNarrow(BF16, x, x, table, 1)
		if !slices.Equal(x, y) {
			t.Error("RoPERowNarrow: other bits in place")
		}
	})
}

func TestNarrowPageEnd(t *testing.T) {
	const most = 48
	var ends [8][]uint16
	for k := range ends {
		ends[k] = pageend.Of[uint16](t, most)
	}
	wide := pageend.Of[float32](t, most)
	eachImplementation(t, func(t *testing.T) {
		for n := 0; n <= most && Narrow(8); n += 8 {
			var s [8][]uint16
			for k := range s {
				s[k] = ends[k][most-n:]
			}
			for _, c := range narrowCases {
				for _, h := range []Half{F16, BF16} {
					c.run(h, s[:c.outs], s[4:4+c.ins], wide[most-n:])
				}
			}
		}
	})
}

func TestRoPEOfHeads(t *testing.T) {
	r := rand.New(rand.NewPCG(65, 66))
	eachImplementation(t, func(t *testing.T) {
		for _, dim := range []int{2, 6, 16, 18, 24, 48, 50, 64, 80, 128, 256} {
			for _, heads := range []int{0, 1, 2, 7} {
				x, table := normal(r, heads*dim, 1), normal(r, dim, 1)
				y := slices.Repeat([]float32{guard}, len(x)+16)
				RoPERow(y[:len(x)], x, table, -1)
				for i, v := range y {
					want := float64(guard)
					if i < len(x) {
						j, at := i%dim, i/dim*dim
						half := dim / 2
						c, s := float64(table[j%half]), float64(table[half+j%half])
						a, b := float64(x[at+j%half]), float64(x[at+half+j%half])
						want = a*c + b*s
						if j >= half {
							want = b*c - a*s
						}
					}
					if math.Abs(float64(v)-want) > 1e-5 {
						t.Fatalf("%s: element %d is %g, want %g", fmt.Sprint(heads, " heads of ", dim), i, v, want)
					}
				}
			}
		}
	})
}
