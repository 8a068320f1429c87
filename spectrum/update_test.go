package spectrum

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

func open(t *testing.T) *tensor.Device { return testdevice.Open(t, 2) }

// model is always the same random one.
func model(t *testing.T, d *tensor.Device) *llama.Model {
	t.Helper()
	m, err := llama.New(d, tinymodel.Config(), 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// adapter has random numbers everywhere.
func adapter(t *testing.T, m *llama.Model, seed uint64) *multilora.Adapter {
	t.Helper()
	a, err := multilora.Attach(m, multilora.Config{
		Method: multilora.MethodMultiLoRA, Modules: 2, Rank: 2, Alpha: 4, Scaling: multilora.ScalingPerOutput,
		Targets: []string{"k_proj", "v_proj", "down_proj"},
	}, seed)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range nn.Params(m) {
		if !p.Frozen && (strings.HasSuffix(name, ".s") || strings.HasSuffix(name, ".B")) {
			r := random.NewStream(seed, random.Test, uint32(len(name)), 0)
			x := make([]float32, p.Value.Numel())
			for i := range x {
				x[i] = float32(r.Normal())
			}
			p.Value.SetFloat32s(x)
		}
	}
	return a
}

// What an adapter changes and what merging it changes are one thing: by the small core and as a whole.
func TestAdapterIsTheTunedModel(t *testing.T) {
	d := open(t)
	base, tuned := model(t, d), model(t, d)
	a := adapter(t, tuned, 5)
	low, err := OfAdapter(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Merge(); err != nil {
		t.Fatal(err)
	}
	adapted := func(layer string) bool {
		return strings.HasSuffix(layer, "k_proj") || strings.HasSuffix(layer, "v_proj") ||
			strings.HasSuffix(layer, "down_proj")
	}
	whole, tooLarge, err := OfTuned(t.Context(), base, tuned, adapted)
	if err != nil || len(tooLarge) > 0 || len(whole) != len(low) || len(low) == 0 {
		t.Fatalf("%d and %d updates, too large: %v, %v", len(whole), len(low), tooLarge, err)
	}
	for i, l := range low {
		w := whole[i]
		if l.Layer != w.Layer || l.Rows != w.Rows || l.Columns != w.Columns ||
			len(w.Singular) != min(w.Rows, w.Columns) {
			t.Fatalf("%s [%d %d] beside %s [%d %d]", l.Layer, l.Rows, l.Columns, w.Layer, w.Rows, w.Columns)
		}
		for k, v := range w.Singular { // merging rounds
			own := 0.0
			if k < len(l.Singular) {
				own = l.Singular[k]
			}
			if math.Abs(own-v) > 1e-5*w.Singular[0] {
				t.Errorf("%s: value %d is %g, of the merged weight %g", l.Layer, k, own, v)
			}
		}
		delta, err := a.Delta(l.Layer)
		if err != nil {
			t.Fatal(err)
		}
		if want := mat.Norm(dense(delta), 2); math.Abs(l.Norm()-want) > 1e-9*want {
			t.Errorf("%s: norm %g, want %g", l.Layer, l.Norm(), want)
		}
	}
}

func TestEnergy(t *testing.T) {
	u := Update{Singular: []float64{4, 2, 1, 0}}
	for k, want := range []float64{0, 16. / 21, 20. / 21, 1, 1, 1} {
		if got := u.Energy(k); math.Abs(got-want) > 1e-15 {
			t.Errorf("energy of %d: %g, want %g", k, got, want)
		}
	}
	if none := (Update{Singular: []float64{0, 0}}); none.Energy(1) != 0 || none.EffectiveRank() != 0 {
		t.Error("of no change: want 0")
	}
}

// phi by its formula, from vectors of the whole matrices; of an update with itself it is 1 on the diagonal.
func TestSimilarity(t *testing.T) {
	d := open(t)
	m := model(t, d)
	updates := func(seed uint64) ([]Update, *multilora.Adapter) {
		a := adapter(t, m, seed)
		u, err := OfAdapter(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.Detach()
		return u, a
	}
	first, a := updates(5)
	second, b := updates(6)
	vectors := func(a *multilora.Adapter, layer string) *mat.Dense {
		delta, err := a.Delta(layer)
		if err != nil {
			t.Fatal(err)
		}
		var svd mat.SVD
		svd.Factorize(dense(delta), mat.SVDThin)
		var v mat.Dense
		svd.VTo(&v)
		return &v
	}
	for n, u := range first {
		phi, err := Similarity(u, second[n], 3, 9)
		if err != nil {
			t.Fatal(err)
		}
		if len(phi) != 3 || len(phi[0]) != 4 { // of rank 4
			t.Fatalf("%s: [%d %d]", u.Layer, len(phi), len(phi[0]))
		}
		v, w := vectors(a, u.Layer), vectors(b, u.Layer)
		for i := range phi {
			for j := range phi[i] {
				var cross mat.Dense
				cross.Mul(v.Slice(0, u.Columns, 0, i+1).T(), w.Slice(0, u.Columns, 0, j+1))
				want := math.Pow(mat.Norm(&cross, 2), 2) / float64(min(i, j)+1)
				if math.Abs(phi[i][j]-want) > 1e-9 {
					t.Errorf("%s: phi(%d, %d) is %g, want %g", u.Layer, i+1, j+1, phi[i][j], want)
				}
			}
		}
		if self, _ := Similarity(u, u, 4, 4); math.Abs(self[3][3]-1) > 1e-12 || math.Abs(self[0][2]-1) > 1e-12 {
			t.Errorf("%s with itself: %v, want 1", u.Layer, self)
		}
	}
	if _, err := Similarity(Update{Columns: 3}, Update{Columns: 4}, 1, 1); err == nil {
		t.Error("of other widths: want an error")
	}
}
