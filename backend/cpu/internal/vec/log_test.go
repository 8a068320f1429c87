package vec

import (
	"math"
	"testing"
)

func TestLog(t *testing.T) {
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0x1p-149, 0x1p-126, 0x1.fffffep-127, math.MaxFloat32, float32(math.Inf(1)),
		float32(math.Inf(-1)), float32(math.NaN())}
	for bits := uint32(0x00800000); bits < 0x7f800000; bits += 4099 { // all exponents
		x = append(x, math.Float32frombits(bits))
	}
	for i := range 2000 { // around 1 and the bounds of m
		for _, about := range []uint32{0x3f800000, 0x3f3504f3, 0x3fb504f3} {
			x = append(x, math.Float32frombits(about-1000+uint32(i)))
		}
	}
	y := make([]float32, len(x))
	Log(y, x)
	for i, got := range y {
		want := math.Log(float64(x[i]))
		if math.IsNaN(want) || math.IsInf(want, 0) {
			if float64(got) != want && (got == got || want == want) {
				t.Fatalf("log %v is %v, want %v", x[i], got, want)
			}
			continue
		}
		size := math.Abs(want)
		ulp := float64(math.Nextafter32(float32(size), float32(math.Inf(1)))) - float64(float32(size))
		if math.Abs(float64(got)-want) > 0.501*ulp {
			t.Fatalf("log %v is %v, want %v", x[i], got, want)
		}
	}
}
