package multilora

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/nn"
)

// oneLayer is an adapter on a single [out, in] layer with random s.
func oneLayer(t *testing.T, out, in int, cfg Config) *Adapter {
	t.Helper()
	d := open(t, 1)
	weights := nn.NewInitializer(d, 3)
	a := attach(t, &nn.Sequential{nn.NewLinear(weights, in, out, false)}, cfg)
	l := a.layers[0].linear
	for _, p := range []*nn.Param{l.B, l.S} {
		if p != nil {
			p.Value = weights.Normal(1, p.Value.Shape()...).Value
		}
	}
	return a
}

// ΔW by its definition, one module, output and input after the other.
func TestDelta(t *testing.T) {
	for _, cfg := range kinds() {
		cfg.Targets, cfg.Ranks, cfg.Alphas = []string{AllLinear}, nil, nil
		a := oneLayer(t, 5, 7, cfg)
		ms, err := a.layers[0].linear.read()
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Delta("0")
		if err != nil {
			t.Fatal(err)
		}
		for o := range 5 {
			for in := range 7 {
				want := 0.0
				for _, m := range ms {
					s := 1.0
					switch len(m.s) {
					case 1:
						s = float64(m.s[0])
					case 5:
						s = float64(m.s[o])
					}
					for k := range cfg.Rank {
						want += cfg.Scale() * s * float64(m.b[o*cfg.Rank+k]) * float64(m.a[k*7+in])
					}
				}
				if math.Abs(got.At(o, in)-want) > 1e-5*(1+math.Abs(want)) {
					t.Fatalf("%s, %s: ΔW[%d, %d] is %g, want %g", cfg.Method, cfg.Scaling, o, in, got.At(o, in), want)
				}
			}
		}
	}
}

// The singular values of ΔW itself, for total ranks below and above both dimensions.
func TestSingularValues(t *testing.T) {
	for _, shape := range [][2]int{{9, 20}, {20, 9}, {4, 30}, {6, 6}} {
		a := oneLayer(t, shape[0], shape[1], kinds()["scalar"]) // rank 6
		delta, err := a.Delta("0")
		if err != nil {
			t.Fatal(err)
		}
		var svd mat.SVD
		svd.Factorize(mat.NewDense(delta.Rows, delta.Columns, delta.Data), mat.SVDNone)
		want := svd.Values(nil)
		got, err := a.SingularValues("0")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != min(6, shape[0], shape[1]) ||
			!slices.IsSortedFunc(got, func(x, y float64) int { return cmp.Compare(y, x) }) {
			t.Errorf("%v: %v, want %d values, the largest first", shape, got, min(6, shape[0], shape[1]))
		}
		for i, v := range got {
			if math.Abs(v-want[i]) > 1e-10*want[0] {
				t.Errorf("%v: singular value %d is %g, want %g", shape, i, v, want[i])
			}
		}
	}
	a := oneLayer(t, 3, 3, kinds()["lora"])
	if _, err := a.SingularValues("1"); err == nil ||
		!strings.Contains(err.Error(), `layer "1": want one of the 1 adapted layers`) {
		t.Errorf("unknown layer: error %v", err)
	}
}

// The norm of every layer's s; nothing stays on the device.
func TestScalingNorms(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		m := tiny(t, open(t, 2))
		a := attach(t, m, cfg)
		trained(t, m, 3)
		var want []ScalingNorm
		for _, l := range a.layers {
			squares := 0.0
			if l.linear.S != nil {
				for _, s := range read(t, l.linear.S.Value) {
					squares += float64(s) * float64(s)
				}
				want = append(want, ScalingNorm{l.name, math.Sqrt(squares)})
			}
		}
		before := m.Device().Stats()
		got, err := a.ScalingNorms()
		if err != nil {
			t.Fatal(err)
		}
		after := m.Device().Stats()
		if len(got) != len(want) || after.Live != before.Live {
			t.Fatalf("%d norms of %d layers, %d bytes left behind", len(got), len(want), after.Live-before.Live)
		}
		for i, w := range want {
			if got[i].Layer != w.Layer || !(w.Norm > 0) || math.Abs(got[i].Norm/w.Norm-1) > 1e-6 {
				t.Errorf("%+v, want %+v", got[i], w)
			}
		}
	})
}
