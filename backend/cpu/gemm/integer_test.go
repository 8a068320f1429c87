package gemm

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
	"github.com/agora-ml/agora/internal/quant"
)

// needIntegers skips where there are no integer products.
func needIntegers(t testing.TB) {
	t.Helper()
	if os.Getenv("AGORA_REQUIRE_AVX512VNNI") == "1" && Integers() != "avx512vnni" {
		t.Fatal("AGORA_REQUIRE_AVX512VNNI=1, but this processor or build has no AVX512_VNNI")
	}
	if Integers() == "" {
		t.Skip("nothing that has integer products")
	}
}

func TestRoundGroups(t *testing.T) {
	needIntegers(t)
	for _, path := range integerPaths {
		zeros := map[int]bool{}
		for _, kind := range path.kinds {
			zeros[kind.zero] = true
		}
		for zero := range zeros {
			for name, x := range hardToRound(32 * 12) {
				testRoundGroups(t, path, name, x, zero)
			}
		}
	}
}

func testRoundGroups(t *testing.T, path integerPath, name string, x []float32, zero int) {
	var got, want [12]roundedGroup
	path.round(unsafe.Pointer(&got), unsafe.Pointer(&x[0]), len(got), zero)
	roundGroupsGo(unsafe.Pointer(&want), unsafe.Pointer(&x[0]), len(want), zero, path.name == "avx512vnni")
	for g := range got {
		for _, v := range []*roundedGroup{&got[g], &want[g]} { // a NaN is a NaN
			if v.scale != v.scale {
				v.scale = 0
			}
			if v.sum != v.sum {
				v.sum = 0
			}
		}
		if got[g] != want[g] {
			t.Errorf("%s, %s: group %d, zero %d: %v, want %v", path.name, name, g, zero, got[g], want[g])
		}
	}
}

// hardToRound are n numbers of several kinds each.
func hardToRound(n int) map[string][]float32 {
	all := map[string][]float32{}
	r := rand.New(rand.NewPCG(1, 2))
	inf := float32(math.Inf(1))
	for name, fill := range map[string]func(i int) float32{
		"normal":    func(int) float32 { return float32(r.NormFloat64()) },
		"ties":      func(i int) float32 { return float32(i%32-16) * 0.5 * 127 / 8 },
		"zero":      func(int) float32 { return 0 },
		"negative":  func(i int) float32 { return -float32(i) },
		"infinity":  func(i int) float32 { return []float32{1, 2, -inf, 3}[i%4] },
		"NaN":       func(i int) float32 { return []float32{1, float32(math.NaN()), inf}[i%3] },
		"denormal":  func(i int) float32 { return float32(i) * 1e-44 },
		"huge":      func(i int) float32 { return float32(i%7-3) * 1e38 },
		"far apart": func(i int) float32 { return float32(math.Ldexp(1, i%64-32)) },
	} {
		for i := range n {
			all[name] = append(all[name], fill(i))
		}
	}
	return all
}

// Integer products are those of the rounded rows with the widened matrix, and differ from the exact ones by no
// more than the rounding may.
func TestIntegerProducts(t *testing.T) {
	needIntegers(t)
	team := parallel.New(3)
	defer team.Close()
	e := NewOn(team)
	e.RoundRows = true
	for i := range integerPaths {
		e.integers = &integerPaths[i]
		t.Run(integerPaths[i].name, func(t *testing.T) { testIntegerProducts(t, e) })
	}
}

func testIntegerProducts(t *testing.T, e *Engine) {
	r := rand.New(rand.NewPCG(5, 6))
	for typ := range quant.Types {
		if !integerKinds[typ] {
			continue
		}
		for _, s := range []struct{ m, n, k int }{
			{1, 1, 1}, {1, 37, 2}, {2, 6, 3}, {3, 1500, 4}, {8, 130, 5}, {1, 3, 7}, {5, 64, 24}, {2, 9, 9}, {131, 70, 5},
		} {
			k := s.k * max(32, typ.Len())
			blocks := pageend.Copy(t, typ.Random(r.Uint32, s.n*k, 1))
			wide := make([]float32, s.n*k)
			typ.Decode(wide, blocks)
			a := pageend.Of[float32](t, s.m*k)
			for i := range a {
				a[i] = float32(r.NormFloat64())
			}
			start := make([]float32, s.m*s.n)
			for i := range start {
				start[i] = r.Float32()
			}
			got := pageend.Copy(t, start)
			p := newProduct(false, true, s.m, s.n, k, 0.5, a, k, Blocks(BlockType(typ), blocks, k), got, s.n, true)
			if !e.inIntegers(&p) {
				t.Fatalf("%s %v: not in integers", typ, s)
			}
			e.run(p)
			sample := max(1, s.m*s.n/500) // of the columns, others in every row
			for i := range s.m {
				scales, bytes := make([]float32, k/32), make([]int8, k)
				for g := range scales {
					scales[g] = roundGroup(unsafe.Pointer(&bytes[32*g]), unsafe.Pointer(&a[i*k+32*g]))
				}
				for j := i % sample; j < s.n; j += sample {
					rounded, exact, size, may := 0.0, 0.0, 0.0, 0.0
					for l := range k {
						scale, q := float64(scales[l/32]), float64(bytes[l])
						w := float64(wide[j*k+l])
						rounded += scale * q * w
						exact += float64(a[i*k+l]) * w
						size += math.Abs(scale * q * w)
						may += 0.5001 * scale * math.Abs(w)
					}
					sum := 2 * float64(got[i*s.n+j]-start[i*s.n+j])
					// Q4_K's least numbers are summed apart, so that what cancels is larger.
					if d := math.Abs(sum - rounded); d > 2e-5*(size+float64(k)/32) {
						t.Errorf("%s %v: row %d, column %d is %g, want %g of the rounded row", typ, s, i, j, sum, rounded)
						return
					}
					if d := math.Abs(sum - exact); d > may+2e-5*(size+float64(k)/32) {
						t.Errorf("%s %v: row %d, column %d is %g, want %g within %g", typ, s, i, j, sum, exact, may)
						return
					}
				}
			}
		}
	}
}

// Sums of the largest numbers of each kind are exact.
func TestIntegerSums(t *testing.T) {
	needIntegers(t)
	const n, k = 19, 256
	const sixBits = "\x00\x3c\x00\x3c\x01\x01\x01\x01\x01\x01\x01\x01\x11\x11\x11\x11"
	heads := map[quant.Type]func(block []byte){ // all scales and least numbers are 1
		quant.Q8_0: func(b []byte) { b[1] = 0x3c },
		quant.Q4_0: func(b []byte) { b[1] = 0x3c },
		quant.Q4_K: func(b []byte) { copy(b, sixBits) },
		quant.Q5_K: func(b []byte) { copy(b, sixBits) },
		quant.Q6_K: func(b []byte) {
			copy(b[192:], "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00\x3c")
		},
	}
	for typ, head := range heads {
		for _, fill := range []byte{0x00, 0xff, 0x80, 0x7f} {
			for name, x := range map[string]func(i int) float32{
				"127":         func(int) float32 { return 127 },
				"-127":        func(int) float32 { return -127 },
				"pairs":       func(i int) float32 { return float32(254*(i/2%2) - 127) },
				"alternating": func(i int) float32 { return float32(254*(i%2) - 127) },
			} {
				blocks := slices.Repeat([]byte{fill}, typ.Bytes(n*k))
				for i := 0; i < len(blocks); i += typ.Bytes(typ.Len()) {
					if typ.Len() == 32 {
						blocks[i] = 0
					}
					head(blocks[i:])
				}
				wide, a := make([]float32, n*k), make([]float32, 2*k)
				typ.Decode(wide, blocks)
				want := float32(0)
				for i := range a {
					a[i] = x(i)
					want += a[i] * wide[i] / 2 // two rows of B, which are the same
				}
				for _, path := range integerPaths {
					for m := 1; m <= 2; m++ {
						e := New(1)
						e.RoundRows, e.integers = true, &path
						got := make([]float32, m*n)
						e.Sgemm(false, true, m, n, k, a, k, Blocks(BlockType(typ), blocks, k), got, n, false)
						e.Close()
						for i, g := range got {
							if g != want {
								t.Fatalf("%s, %s: bytes %#x, numbers %s, %d rows: sum %d is %g, want %g", path.name, typ, fill, name,
									m, i, g, want)
							}
						}
					}
				}
			}
		}
	}
}

// The same bits for any number of threads, and for a row alone or among others.
func TestIntegerProductsBits(t *testing.T) {
	needIntegers(t)
	for _, path := range integerPaths {
		for _, m := range []int{2, streamedRows, streamedRows + 1, 23} {
			t.Run(fmt.Sprintf("%s, %d rows", path.name, m), func(t *testing.T) { testIntegerProductsBits(t, path, m) })
		}
	}
}

func testIntegerProductsBits(t *testing.T, path integerPath, m int) {
	const n, k = 333, 1280
	r := rand.New(rand.NewPCG(7, 8))
	for typ := range quant.Types {
		if !integerKinds[typ] {
			continue
		}
		b := Blocks(BlockType(typ), pageend.Copy(t, typ.Random(r.Uint32, n*k, 1)), k)
		a := pageend.Of[float32](t, m*k)
		for i := range a {
			a[i] = float32(r.NormFloat64())
		}
		var first []float32
		for threads := range 4 {
			team := parallel.New(threads + 1)
			e := NewOn(team)
			e.RoundRows, e.integers = true, &path
			got, single := pageend.Of[float32](t, m*n), pageend.Of[float32](t, m*n)
			e.Sgemm(false, true, m, n, k, a, k, b, got, n, false)
			for i := range m {
				e.Sgemm(false, true, 1, n, k, a[i*k:], k, b, single[i*n:], n, false)
			}
			team.Close()
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) || !slices.Equal(single, first) {
				t.Errorf("%s, %d threads: other bits", typ, threads+1)
			}
		}
	}
}

// Products by panels have the same bits on all processors: these are checksums of them.
func TestIntegerPanelsSameBits(t *testing.T) {
	needIntegers(t)
	const m, n, k = 7, 43, 1280
	want := map[quant.Type]uint32{
		quant.Q8_0: 0x7296d97b, quant.Q4_0: 0x36ec0c84, quant.Q4_K: 0xd8f243c9, quant.Q5_K: 0x0ee86448, quant.Q6_K: 0x573fb6d4,
	}
	for _, path := range integerPaths {
		r := rand.New(rand.NewPCG(9, 10))
		for typ := range quant.Types {
			if !integerKinds[typ] {
				continue
			}
			b := Blocks(BlockType(typ), pageend.Copy(t, typ.Random(r.Uint32, n*k, 1)), k)
			a := pageend.Of[float32](t, m*k)
			for i := range a {
				a[i] = float32(int32(r.Uint32())) * 0x1p-30
			}
			e := New(1)
			e.RoundRows, e.integers = true, &path
			c := pageend.Of[float32](t, m*n)
			e.Sgemm(false, true, m, n, k, a, k, b, c, n, false)
			e.Close()
			sum := crc32.ChecksumIEEE(unsafe.Slice((*byte)(unsafe.Pointer(&c[0])), 4*len(c)))
			if sum != want[typ] {
				t.Errorf("%s, %s: checksum %#08x, want %#08x", path.name, typ, sum, want[typ])
			}
		}
	}
}

// Without RoundRows, and for other kinds, nothing is rounded.
func TestIntegerProductsAreAChoice(t *testing.T) {
	needIntegers(t)
	team := parallel.New(2)
	defer team.Close()
	e := NewOn(team)
	matrix := func(t quant.Type) Matrix { return Blocks(BlockType(t), make([]byte, t.Bytes(256*4)), 256) }
	for _, c := range []struct {
		name           string
		on, a, b, want bool
		m              int
		kind           quant.Type
	}{
		{"off", false, false, true, false, 1, quant.Q8_0},
		{"on", true, false, true, true, 1, quant.Q8_0},
		{"many rows", true, false, true, true, 99, quant.Q4_K},
		{"A transposed", true, true, true, false, 8, quant.Q8_0},
		{"B not transposed", true, false, false, false, 8, quant.Q8_0},
		{"NF4", true, false, true, false, 1, quant.NF4},
	} {
		e.RoundRows = c.on
		p := product{transA: c.a, transB: c.b, m: c.m, n: 4, k: 256, b: matrix(c.kind)}
		if got := e.inIntegers(&p); got != c.want {
			t.Errorf("%s: in integers %t, want %t", c.name, got, c.want)
		}
	}
}

func BenchmarkIntegers(b *testing.B) {
	needIntegers(b)
	team := parallel.New(2)
	defer team.Close()
	const n, k = 4096, 4096
	for typ := range quant.Types {
		if !integerKinds[typ] {
			continue
		}
		data := typ.Random(rand.New(rand.NewPCG(1, 1)).Uint32, n*k, 1)
		for _, m := range []int{1, 4, 8, 256} {
			for _, rounds := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/rounded=%t", typ, m, rounds), func(b *testing.B) {
					e := NewOn(team)
					e.RoundRows = rounds
					a, c := random(m*k), random(m*n)
					for b.Loop() {
						e.Sgemm(false, true, m, n, k, a, k, Blocks(BlockType(typ), data, k), c, n, false)
					}
					b.ReportMetric(float64(len(data))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
