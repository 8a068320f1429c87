package vec

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// halfPatterns are float32 bit patterns: every combination of exponent and top
// mantissa bits with the low bits at, just below and just above a tie, and
// random ones.
func halfPatterns() []float32 {
	var x []float32
	for hi := range uint32(1 << 16) {
		for _, lo := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			x = append(x, math.Float32frombits(hi<<16|lo))
		}
	}
	// ties of half precision lie at bit 12
	for hi := range uint32(1 << 13) {
		for _, mid := range []uint32{0x20000, 0x21000, 0x22fff, 0x23000, 0x23001} {
			x = append(x, math.Float32frombits(hi<<19|mid))
		}
	}
	rng := rand.New(rand.NewPCG(13, 14))
	for range 100_000 {
		x = append(x, math.Float32frombits(rng.Uint32()))
	}
	return x
}

func TestHalfTwinsAgree(t *testing.T) {
	x := halfPatterns()
	h := make([]uint16, 1<<16)
	for i := range h {
		h[i] = uint16(i)
	}
	eachImplementation(t, func(t *testing.T) {
		for _, c := range []struct {
			name          string
			run, portable func([]uint16, []float32)
		}{{"ToBF16", ToBF16, toBF16Go}, {"ToF16", ToF16, toF16Go}} {
			got, want := make([]uint16, len(x)), make([]uint16, len(x))
			c.run(got, x)
			c.portable(want, x)
			for i := range x {
				if got[i] != want[i] {
					t.Fatalf("%s(%g, %#x) = %#x, in Go %#x", c.name, x[i], math.Float32bits(x[i]), got[i], want[i])
				}
			}
		}
		for _, c := range []struct {
			name          string
			run, portable func([]float32, []uint16)
		}{{"FromBF16", FromBF16, fromBF16Go}, {"FromF16", FromF16, fromF16Go}} {
			got, want := make([]float32, len(h)), make([]float32, len(h))
			c.run(got, h)
			c.portable(want, h)
			for i := range h {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s(%#x) = %#x, in Go %#x", c.name, h[i], math.Float32bits(got[i]),
						math.Float32bits(want[i]))
				}
			}
		}
	})
}

// roundTo rounds to prec bits, to nearest even, but never finer than 2^least.
func roundTo(v float64, prec uint, least int) float64 {
	if v == 0 {
		return 0
	}
	if e := math.Ilogb(v) - int(prec) + 1; e < least {
		return math.RoundToEven(math.Ldexp(v, -least)) * math.Ldexp(1, least)
	}
	f, _ := new(big.Float).SetMode(big.ToNearestEven).SetPrec(prec).SetFloat64(v).Float64()
	return f
}

// TestHalfMeaning checks the Go loops against arithmetic in float64.
func TestHalfMeaning(t *testing.T) {
	for _, x := range halfPatterns() {
		v := float64(x)
		var b, h [1]uint16
		toBF16Go(b[:], []float32{x})
		toF16Go(h[:], []float32{x})
		var fromB, fromH [1]float32
		fromBF16Go(fromB[:], b[:])
		fromF16Go(fromH[:], h[:])
		if x != x {
			if fromB[0] == fromB[0] || fromH[0] == fromH[0] {
				t.Fatalf("NaN %#x became %#x and %#x", math.Float32bits(x), b[0], h[0])
			}
			continue
		}
		wantB, wantH := v, v
		if !math.IsInf(v, 0) {
			wantB, wantH = roundTo(v, 8, -133), roundTo(v, 11, -24)
		}
		if math.Abs(wantB) > 0x1.FEp127 {
			wantB = math.Copysign(math.Inf(1), v)
		}
		if math.Abs(wantH) > 65504 {
			wantH = math.Copysign(math.Inf(1), v)
		}
		if float64(fromB[0]) != wantB || math.Signbit(float64(fromB[0])) != math.Signbit(v) {
			t.Fatalf("bf16(%g) = %g, want %g", v, fromB[0], wantB)
		}
		if float64(fromH[0]) != wantH || math.Signbit(float64(fromH[0])) != math.Signbit(v) {
			t.Fatalf("f16(%g) = %g, want %g", v, fromH[0], wantH)
		}
	}
}

// TestHalfEdges runs all tail lengths between guard words.
func TestHalfEdges(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for _, n := range lengths() {
			for offset := range 3 {
				src := make([]uint16, n+offset)[offset:]
				for i := range src {
					src[i] = uint16(0x3c00 + i%1000)
				}
				whole, wide := fenced(n, offset)
				FromF16(wide, src)
				checkFence(t, "FromF16", whole, n, offset)
				FromBF16(wide, src)
				checkFence(t, "FromBF16", whole, n, offset)
				narrow := slices.Repeat([]uint16{7}, n+16+offset)
				ToBF16(narrow[8+offset:8+offset+n], wide)
				for i, v := range narrow {
					if inside := i >= 8+offset && i < 8+offset+n; inside && v != src[i-8-offset] || !inside && v != 7 {
						t.Fatalf("ToBF16: length %d, offset %d: [%d] = %#x", n, offset, i-8-offset, v)
					}
				}
				FromF16(wide, src)
				ToF16(narrow[8+offset:8+offset+n], wide)
				for i, v := range narrow {
					if inside := i >= 8+offset && i < 8+offset+n; inside && v != src[i-8-offset] || !inside && v != 7 {
						t.Fatalf("ToF16: length %d, offset %d: [%d] = %#x", n, offset, i-8-offset, v)
					}
				}
			}
		}
	})
}
