//go:build !noasm

package gemm

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/agora-ml/agora/internal/cpulevel"
)

// The processor that QEMU emulates decides.
func TestChoice(t *testing.T) {
	want, known := map[string][2]string{
		"max": {"neonbf16", "neoni8mm"}, "cortex-a76": {"", "neondotprod"}, "cortex-a72": {},
	}[os.Getenv("QEMU_CPU")]
	if !known || os.Getenv(cpulevel.Variable) != "" {
		t.Skip("needs QEMU_CPU, as make arm64 sets it")
	}
	if got := [2]string{KernelBF16(), Integers()}; got != want {
		t.Errorf("products of bfloat16 and of integers by %q, want %q", got, want)
	}
}

// sumToOdd is the float32 that BFMMLA makes of a sum of two: not to the nearest, but cut off, with the last bit set where
// something was lost; denormal numbers are zeros, and every NaN is the default one.
func sumToOdd(a, b float32) float32 {
	a, b = flushed(a), flushed(b)
	s := float64(a) + float64(b)
	switch {
	case s != s:
		return math.Float32frombits(0x7fc00000)
	case math.Abs(s) >= 0x1p128:
		return float32(math.Inf(int(math.Copysign(1, s))))
	}
	v := s - float64(a)
	lost := (float64(a) - (s - v)) + (float64(b) - v)
	cut := float32(s)
	if math.Abs(float64(cut)) > math.Abs(s) {
		cut = math.Nextafter32(cut, 0)
	} else if rest := s - float64(cut); rest == 0 && lost != 0 && (lost < 0) == (s > 0) {
		cut = math.Nextafter32(cut, 0)
	}
	if float64(cut) != s || lost != 0 {
		cut = math.Float32frombits(math.Float32bits(cut) | 1)
	}
	return flushed(cut)
}

// productToOdd is its product of two bfloat16, exact but for what is too large or too small.
func productToOdd(a, b uint16) float32 {
	x := float64(flushed(float32(wide(a)))) * float64(flushed(float32(wide(b))))
	switch {
	case x != x:
		return math.Float32frombits(0x7fc00000)
	case math.Abs(x) < 0x1p-126:
		return float32(math.Copysign(0, x))
	}
	return float32(x)
}

// Products of bfloat16 have the bits of a model in plain Go of what Arm's manual says of BFMMLA without FEAT_EBF16
// (BFDotAdd): two products are added, then to the sum, each rounded to odd.
func TestPairsAreAsArmSays(t *testing.T) {
	needPairs(t)
	if pairKernels()[0].name != "neonbf16" {
		t.Skip("not by BFMMLA")
	}
	const m, n, k = 7, 19, 36
	r := rand.New(rand.NewPCG(41, 42))
	for name, number := range map[string]func() uint16{
		"near":     func() uint16 { return bf16(r.Float32() - 0.5) },
		"far":      func() uint16 { return uint16(r.Uint32())&0xbfff | 0x2000 },
		"denormal": func() uint16 { return uint16(r.Uint32()) & 0x80ff },
		"small":    func() uint16 { return uint16(r.Uint32())&0x83ff | 0x1e00 },
		"any":      func() uint16 { return uint16(r.Uint32()) },
		"huge":     func() uint16 { return uint16(r.Uint32())&0x81ff | 0x5e00 },
	} {
		a, b, got := pairsOf(m*k), pairsOf(n*k), make([]float32, m*n)
		for _, s := range [][]uint16{a, b} {
			for i := range s {
				s[i] = number()
			}
		}
		if !(&Workspace{}).Bgemm(false, true, m, n, k, 1, BF16(a, k), BF16(b, k), F32(got, n), false) {
			t.Fatal("not done")
		}
		for i, g := range got {
			want := float32(0)
			for l := 0; l < k; l += 2 {
				x, y := a[i/n*k+l:], b[i%n*k+l:]
				want = sumToOdd(want, sumToOdd(productToOdd(x[0], y[0]), productToOdd(x[1], y[1])))
			}
			if math.Float32bits(g) != math.Float32bits(want) && (g == g || want == want) {
				t.Fatalf("%s: C[%d,%d] is %g (%#x), want %g (%#x)", name, i/n, i%n, g, math.Float32bits(g), want, math.Float32bits(want))
			}
		}
	}
}

func TestRoundRowNEON(t *testing.T) {
	if cpulevel.Chosen() < cpulevel.NEONBF16 {
		t.Skip("no BFCVTN")
	}
	for name, x := range hardToRound(43) {
		got, want := pairsOf(len(x)), pairsOf(len(x))
		roundRow(unsafe.Pointer(&got[0]), unsafe.Pointer(&x[0]), len(x))
		roundRowGo(unsafe.Pointer(&want[0]), unsafe.Pointer(&x[0]), len(x))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}

func TestNEONIsThere(t *testing.T) {
	if want := map[bool]string{true: "neon", false: "go"}[cpulevel.Chosen() >= cpulevel.NEON]; Kernel() != want {
		t.Errorf("the kernel is %s, want %s", Kernel(), want)
	}
}
