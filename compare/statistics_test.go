package compare

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s: got %.9g, want %.9g", what, got, want)
	}
}

// Worked by hand: differences 1, 2, 3, 6 have mean 3, squares about it 4+1+0+9 = 14, so that the
// standard deviation is sqrt(14/3) = 2.160247 and the standard error 1.080123. t(0.975, 3) is
// 3.182446 in every table.
func TestPaired(t *testing.T) {
	d := Paired([]float64{2, 4, 6, 10}, []float64{1, 2, 3, 4})
	near(t, "mean", d.Mean, 3, 1e-12)
	near(t, "sd", d.SD, 2.160246899, 1e-9)
	near(t, "low", d.Low, 3-3.182446305*1.080123450, 1e-6)
	near(t, "high", d.High, 3+3.182446305*1.080123450, 1e-6)
	if d.N != 4 || d.Up != 4 || d.Down != 0 || d.Apart() {
		t.Errorf("got %+v: four seeds up, and an interval that holds 0", d)
	}
	// t = 3/1.080123 = 2.777460 with 3 degrees of freedom, whose distribution has a closed form:
	// 1 - F = 1/2 - (x/(1+x²) + atan x)/π with x = t/√3.
	x := 3 / 1.080123450 / math.Sqrt(3)
	near(t, "p", d.P, 2*(0.5-(x/(1+x*x)+math.Atan(x))/math.Pi), 1e-8)
}

// Differences -1, -3 have mean -2 and standard error 1; t(0.975, 1) = tan(0.475 π) = 12.7062.
func TestPairedOfTwo(t *testing.T) {
	d := Paired([]float64{0, 0}, []float64{1, 3})
	near(t, "low", d.Low, -2-12.70620474, 1e-6)
	near(t, "high", d.High, -2+12.70620474, 1e-6)
	if d.Up != 0 || d.Down != 2 || d.Apart() {
		t.Errorf("got %+v", d)
	}
	// Differences -9, -10, -11: t(0.975, 2) = 4.302653, half width 2.484138.
	d = Paired([]float64{0, 0, 0}, []float64{9, 10, 11})
	near(t, "low", d.Low, -12.484138, 1e-6)
	if !d.Apart() {
		t.Errorf("%+v holds no 0", d)
	}
}

func TestOneSeedTellsNothing(t *testing.T) {
	d := Paired([]float64{5}, []float64{1})
	if d.Mean != 4 || d.Low != 4 || d.High != 4 || d.P != 1 || d.Apart() {
		t.Errorf("got %+v", d)
	}
	if d := Paired(nil, nil); d.N != 0 || d.P != 1 || d.Apart() {
		t.Errorf("got %+v", d)
	}
}

func TestEqualSeedsHaveNoWidth(t *testing.T) {
	if d := Paired([]float64{3, 3}, []float64{1, 1}); d.Low != 2 || d.High != 2 || d.P != 0 || !d.Apart() {
		t.Errorf("got %+v", d)
	}
	if d := Paired([]float64{1, 1}, []float64{1, 1}); d.P != 1 || d.Apart() || d.Up+d.Down != 0 {
		t.Errorf("got %+v", d)
	}
}

// Holm (1979) by hand: sorted 0.01, 0.02, 0.03 times 3, 2, 1 is 0.03, 0.04, 0.03, and never falls.
func TestHolm(t *testing.T) {
	got := Holm([]float64{0.03, 0.01, 0.02})
	for i, want := range []float64{0.04, 0.03, 0.04} {
		near(t, "adjusted", got[i], want, 1e-12)
	}
	if got := Holm([]float64{0.6, 0.7}); got[0] != 1 || got[1] != 1 {
		t.Errorf("got %v, want no p above 1", got)
	}
}
