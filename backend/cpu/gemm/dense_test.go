package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// TestDenseTile compares the dense micro-kernel with the general one, bit for bit, with a
// neighbor on each side of every row of C.
func TestDenseTile(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		if kn.dense == nil {
			t.Skip("this kernel has no dense form")
		}
		r := rand.New(rand.NewPCG(10, 10))
		numbers := func(n int) []float32 {
			s := make([]float32, n)
			for i := range s {
				s[i] = r.Float32() - 0.5
			}
			return s
		}
		at := func(s []float32, i int) unsafe.Pointer { return unsafe.Pointer(&s[i]) }
		ldc := kn.cols + 3
		for extra := range 2*denseRound + 1 {
			k := denseRound*kn.rows + extra
			a, b, c := numbers(k*kn.rows), numbers(k*kn.cols), numbers(1+kn.rows*ldc)
			for _, alpha := range []float32{1, -0.75} {
				for _, acc := range []bool{false, true} {
					want, got := slices.Clone(c), slices.Clone(c)
					tt := tile{a: at(a, 0), b: at(b, 0), rs: 4, ks: 4 * kn.rows, bs: 4 * kn.cols, ldc: 4 * ldc, k: k,
						alpha: alpha, acc: acc, ahead: 4 * k * kn.rows}
					tt.columns(kn.cols, kn.cols)
					tt.c = at(want, 1)
					kn.full[kn.rows](&tt)
					tt.c = at(got, 1)
					kn.dense(&tt)
					for i := range want {
						if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
							t.Fatalf("k=%d alpha=%v acc=%t: word %d of C is %v, want %v", k, alpha, acc, i, got[i],
								want[i])
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
