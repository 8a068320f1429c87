package ops

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// TestRoPETable checks the angles of position 1 against the definition in float64.
func TestRoPETable(t *testing.T) {
	const dim, theta = 64, 500000
	plain := RoPEScaling{Theta: theta}.frequencies(1, dim)
	linear := RoPEScaling{Theta: theta, Factor: 4}.frequencies(1, dim)
	llama3 := RoPEScaling{Theta: theta, Factor: 8, OriginalPositions: 8192, LowFreqFactor: 1,
		HighFreqFactor: 4}.frequencies(1, dim)
	between := 0
	for j := range dim / 2 {
		f := math.Pow(theta, -2*float64(j)/dim)
		want := f
		switch turns := 8192 * f / (2 * math.Pi); { // of the original context
		case turns < 1:
			want = f / 8
		case turns <= 4:
			smooth := (turns - 1) / (4 - 1)
			want = (1-smooth)*f/8 + smooth*f
			between++
		}
		for name, pair := range map[string][2]float64{
			"plain": {float64(plain[j]), f}, "linear": {float64(linear[j]), f / 4},
			"llama3": {float64(llama3[j]), want},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-6*pair[1] {
				t.Errorf("%s: frequency %d is %g, want %g", name, j, pair[0], pair[1])
			}
		}
	}
	if between == 0 {
		t.Error("no frequency between the two bounds: the test is blind there")
	}

	table := RoPETable(3, dim, RoPEScaling{Theta: theta})
	for p := range 3 {
		for j := range dim / 2 {
			angle := float64(float32(p) * plain[j])
			if table[p*dim+j] != float32(math.Cos(angle)) || table[p*dim+dim/2+j] != float32(math.Sin(angle)) {
				t.Fatalf("position %d, angle %d: cos %g, sin %g", p, j, table[p*dim+j], table[p*dim+dim/2+j])
			}
		}
	}
}

// TestStretchedRoPETables checks YaRN's and LongRoPE's tables against their papers' formulas in float64.
func TestStretchedRoPETables(t *testing.T) {
	const dim, theta, positions, original = 16, 1e4, 70, 32
	check := func(name string, got []float32, length, attention func(p int) float64, frequency func(j int) float64) {
		t.Helper()
		for p := range positions {
			for j := range dim / 2 {
				angle := float64(p) * frequency(j)
				for part, want := range []float64{math.Cos(angle), math.Sin(angle)} {
					want *= attention(p) * length(p)
					if d := math.Abs(float64(got[p*dim+part*dim/2+j]) - want); !(d <= 1e-5) {
						t.Fatalf("%s: position %d, element %d: off by %g", name, p, j, d)
					}
				}
			}
		}
	}
	one := func(int) float64 { return 1 }
	plain := func(j int) float64 { return math.Pow(theta, -2*float64(j)/dim) }

	y := YaRN{Factor: 4, OriginalPositions: original, BetaFast: 2, BetaSlow: 0.25, Attention: 1.1, QueryBeta: 0.3}
	// Equation 13's ramp, over elements: where the old context holds that many turns.
	at := func(turns float64) float64 {
		return dim * math.Log(original/(2*math.Pi*turns)) / (2 * math.Log(theta))
	}
	for _, untruncated := range []bool{false, true} {
		y.Untruncated = untruncated
		low, high := at(y.BetaFast), at(y.BetaSlow)
		if !untruncated {
			low, high = math.Floor(low), math.Ceil(high)
		}
		frequency := func(j int) float64 {
			stretched := min(max((float64(j)-max(low, 0))/(high-max(low, 0)), 0), 1)
			return plain(j) * (1 - stretched + stretched/y.Factor)
		}
		s := RoPEScaling{Theta: theta, YaRN: &y}
		attention := func(int) float64 { return 1.1 }
		check("yarn", RoPETable(positions, dim, s), one, attention, frequency)
		check("yarn's queries", RoPEQueryTable(positions, dim, s), func(p int) float64 {
			return 1 + 0.3*math.Log(1+math.Floor(float64(p)/original))
		}, attention, frequency)
	}

	l := LongRoPE{OriginalPositions: positions, Attention: 0.9}
	for j := range dim / 2 {
		l.Short, l.Long = append(l.Short, 1+float64(j)/8), append(l.Long, 2+float64(j))
	}
	attention := func(int) float64 { return 0.9 }
	s := RoPEScaling{Theta: theta, Long: &l}
	check("short texts", RoPETable(positions, dim, s), one, attention, func(j int) float64 { return plain(j) / l.Short[j] })
	check("queries", RoPEQueryTable(positions, dim, s), one, attention, func(j int) float64 { return plain(j) / l.Short[j] })
	l.OriginalPositions--
	check("long texts", RoPETable(positions, dim, s), one, attention, func(j int) float64 { return plain(j) / l.Long[j] })
}

// TestRoPEIsRelative: the product of a turned query and a turned key depends on the
// distance of their positions alone.
func TestRoPEIsRelative(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const dim = 8
		table := autograd.Const(d.FromFloat32s(tensor.F32, RoPETable(200, dim, RoPEScaling{}), 200, dim))
		x := randomHeads(1, 1, 2, 1, dim)
		product := func(p, q int32) (s float64) {
			y := RoPE(autograd.Const(d.FromFloat32s(tensor.F32, x.data, 1, 2, 1, dim)), table,
				autograd.Const(d.FromInt32s([]int32{p, q}, 1, 2)))
			data, err := y.Tensor().Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for i := range dim {
				s += float64(data[i]) * float64(data[dim+i])
			}
			return s
		}
		if near, far := product(9, 4), product(190, 185); math.Abs(near-far) > 1e-4 {
			t.Errorf("distance 5 gives %g and %g", near, far)
		}
		if one, other := product(9, 4), product(9, 5); math.Abs(one-other) < 1e-3 {
			t.Errorf("distances 5 and 4 give %g both", one)
		}
	})
}

// TestRoPEOutside: a position outside the table gives NaN in its own row only.
func TestRoPEOutside(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const dim = 4
		table := autograd.Const(d.FromFloat32s(tensor.F32, RoPETable(7, dim, RoPEScaling{}), 7, dim))
		x := autograd.Const(d.FromFloat32s(tensor.F32, randomHeads(1, 1, 4, 1, dim).data, 1, 4, 1, dim))
		data, err := RoPE(x, table, autograd.Const(d.FromInt32s([]int32{6, 7, -1, 0}, 1, 4))).Tensor().Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range data {
			if row := i / dim; math.IsNaN(float64(v)) != (row == 1 || row == 2) {
				t.Errorf("row %d has %g", row, v)
			}
		}
	})
}
