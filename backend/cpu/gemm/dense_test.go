package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// TestDenseTiles compares the micro-kernels of whole tiles, of packed A and of rows where they lie, with the general ones, bit
// for bit, with a neighbor on each side of every row of C.
func TestDenseTiles(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		for i, whole := range kn.whole {
			cols := kn.cols / 2 * (i + 1)
			if whole.dense != nil {
				compareTiles(t, &kn, kn.rows, cols, 4, 4*kn.rows, whole.dense)
			}
			for rows := range whole.inPlace {
				for _, f := range []func(*tile){whole.inPlace[rows], whole.ahead[rows]} {
					if f != nil {
						compareTiles(t, &kn, rows, cols, 0, 4, f)
					}
				}
			}
		}
	})
}

// compareTiles calls a micro-kernel of so many rows, rs bytes apart, or a little more than a row where that is 0.
func compareTiles(t *testing.T, kn *kernel, rows, cols, rs, ks int, f func(*tile)) {
	r := rand.New(rand.NewPCG(10, 10))
	numbers := func(n int) []float32 {
		s := pageend.Of[float32](t, n)
		for i := range s {
			s[i] = r.Float32() - 0.5
		}
		return s
	}
	at := func(s []float32, i int) unsafe.Pointer { return unsafe.Pointer(&s[i]) }
	ldc, tiles := cols+3, kn.full
	if cols < kn.cols {
		tiles = kn.narrow
	}
	for extra := range 4*denseRound + 2 {
		k, rs := kn.least+extra, rs
		if rs == 0 {
			rs = 4 * (k + 5)
		}
		a, b, c := numbers(((rows-1)*rs+(k-1)*ks)/4+1), numbers(k*cols), numbers(1+(rows-1)*ldc+cols)
		for _, alpha := range []float32{1, -0.75} {
			for _, acc := range []bool{false, true} {
				want, got := pageend.Copy(t, c), pageend.Copy(t, c)
				tt := tile{a: at(a, 0), b: at(b, 0), rs: rs, ks: ks, bs: 4 * cols, ldc: 4 * ldc, k: k,
					alpha: alpha, acc: acc, ahead: 4 * k * rows}
				tt.columns(cols, cols)
				tt.c = at(want, 1)
				tiles[rows](&tt)
				tt.c = at(got, 1)
				f(&tt)
				for i := range want {
					if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
						t.Fatalf("%dx%d, ks=%d, k=%d alpha=%v acc=%t: word %d of C is %v, want %v", rows, cols, ks, k, alpha, acc, i,
							got[i], want[i])
					}
				}
			}
		}
	}
}

// TestLinesOfPanels: what transposes whole lines puts every number in its place, and touches no other.
func TestLinesOfPanels(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		for rows, pack := range kn.lines {
			if pack == nil {
				continue
			}
			for _, k := range []int{16, 48} {
				for _, step := range []int{rows, 2*rows + 1} {
					ld := k + 3
					src, got := pageend.Of[float32](t, (rows-1)*ld+k), pageend.Of[float32](t, (k-1)*step+rows+1)
					for i := range src {
						src[i] = float32(1 + i)
					}
					pack(unsafe.Pointer(&got[1]), 4*step, unsafe.Pointer(&src[0]), 4*ld, k)
					for i := range got {
						want, l, j := float32(0), (i-1)/step, (i-1)%step
						if i > 0 && l < k && j < rows {
							want = src[j*ld+l]
						}
						if got[i] != want {
							t.Fatalf("%d rows, k=%d, step %d: word %d is %v, want %v", rows, k, step, i-1, got[i], want)
						}
					}
				}
			}
		}
	})
}

// TestStrips: the strips cover every column once, begin where panels begin, and end with
// narrower ones where the strips alone share the work.
func TestStrips(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		for _, n := range []int{1, 63, 64, 500, 777, 1024, 2048, 4096, 11008} {
			for _, threads := range []int{1, 2, 7, 64} {
				p := product{m: 512, n: n, k: 512}
				pl := newPlan(&p, &kn)
				c := newCut(&pl, threads)
				where := fmt.Sprintf("%d columns for %d threads", n, threads)
				edges := c.strips(nil, n, threads, &kn)
				if edges[0] != 0 || edges[len(edges)-1] != n {
					t.Fatalf("%s: %v", where, edges)
				}
				widest, last := 0, 0
				for i, from := range edges[:len(edges)-1] {
					last = edges[i+1] - from
					widest = max(widest, last)
					if from%kn.cols != 0 && !c.own || last < 1 || last > c.width {
						t.Errorf("%s: a strip [%d, %d), at most %d wide", where, from, edges[i+1], c.width)
					}
				}
				uneven := threads > 1 && c.np == 0 && !c.own && n%c.width == 0 && c.width > 6*kn.cols
				if uneven && last > widest*3/4 {
					t.Errorf("%s: the last strip has %d columns, the widest %d", where, last, widest)
				}
			}
		}
	})
}

// TestStripsEndTogether: threads of one speed that share strips alone compute as many columns each, where those are divisible.
func TestStripsEndTogether(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		shared := 0
		for _, threads := range []int{2, 3, 8} {
			for panels := 3 * threads; panels < 3000; panels += threads {
				n := panels * kn.cols
				pl := newPlan(&product{m: 512, n: n, k: 512}, &kn)
				c := newCut(&pl, threads)
				if c.np > 0 || c.own {
					continue
				}
				shared++
				columns := make([]int, threads) // of those who are always the next that is free
				edges := c.strips(nil, n, threads, &kn)
				for i, from := range edges[:len(edges)-1] {
					columns[slices.Index(columns, slices.Min(columns))] += edges[i+1] - from
				}
				if slices.Max(columns) != slices.Min(columns) {
					t.Fatalf("%d columns for %d threads in strips from %v: %v each", n, threads, edges, columns)
				}
			}
		}
		if shared == 0 {
			t.Error("no product is shared by strips alone")
		}
	})
}

// TestSharedPanelsHaveRoom: the panels that are packed for all end within the memory that is taken for them, where they
// are a little further apart than they are long, too.
func TestSharedPanelsHaveRoom(t *testing.T) {
	for _, kn := range kernels {
		for _, k := range []int{31, 64, 512, 513, 2048, 5000} {
			for _, n := range []int{16, 37, 288, 400} {
				pl := newPlan(&product{m: 2048, n: n, k: k}, &kn)
				c := newCut(&pl, 2)
				if c.np == 0 {
					continue
				}
				memory := make([]float32, c.shared(&pl))
				pl.k1 = min(c.stretch, k)
				pl.sharedB = unsafe.Pointer(&memory[c.mp*pl.k1])
				for kb := 0; kb < pl.k1; kb += pl.depth {
					depth, last := min(pl.depth, pl.k1-kb), (n-1)/kn.cols*kn.cols
					end := uintptr(pl.panelsB(kb, depth, last)) + uintptr(4*depth*kn.cols)
					if room := uintptr(unsafe.Pointer(&memory[0])) + uintptr(4*len(memory)); end > room {
						t.Errorf("%s, k %d, n %d: the panel of column %d ends %d bytes behind the memory", kn.name, k, n, last, end-room)
					}
				}
			}
		}
	}
}
