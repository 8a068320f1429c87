package multilora

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// stored turns the weights of a model's linear layers into another storage type.
func stored(t *testing.T, m *llama.Model, dt tensor.DType) *llama.Model {
	t.Helper()
	for _, p := range nn.Params(m) {
		p.Value = m.Device().FromFloat32s(dt, read(t, p.Value), p.Value.Shape()...)
	}
	return m
}

func bits(t *testing.T, m *llama.Model) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, p := range nn.Params(m) {
		raw, err := p.Value.RawBytes()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = raw
	}
	return all
}

// Unmerge brings back the base bit by bit and the adapter, and Merge the merged model.
func TestUnmergeIsExact(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		eachKind(t, func(t *testing.T, cfg Config) {
			m := stored(t, tiny(t, open(t, 2)), dt)
			before := bits(t, m)
			a := attach(t, m, cfg)
			trained(t, m, 12)
			adapted := logits(t, m, batch())
			for range 2 {
				if _, err := a.Merge(); err != nil {
					t.Fatal(err)
				}
				merged := bits(t, m)
				if weight := a.layers[0].name + ".weight"; slices.Equal(merged[weight], before[weight]) {
					t.Error("merging has changed nothing")
				}
				kept, all := 0, 0
				for i, c := range a.merged {
					w := a.layers[i].base.Weight.Value
					kept, all = kept+len(c.steps), all+w.Bytes()
				}
				// These adapters change their weights by a quarter to a half, far more than real ones.
				if share := map[tensor.DType]int{tensor.F32: 6, tensor.BF16: 3, tensor.F16: 3}[dt]; kept > all/share {
					t.Errorf("%s: %d bytes kept for weights of %d, want at most 1/%d", dt, kept, all, share)
				}
				if err := a.Unmerge(); err != nil {
					t.Fatal(err)
				}
				if got := logits(t, m, batch()); !slices.Equal(got, adapted) {
					t.Errorf("%s: unmerged, model and adapter compute something else", dt)
				}
				a.Detach()
				after := bits(t, m)
				for name, want := range before {
					if !slices.Equal(after[name], want) {
						t.Errorf("%s: %s is not what it was", dt, name)
					}
				}
				if err := a.Attach(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestUnmergeErrors(t *testing.T) {
	m := tiny(t, open(t, 1))
	a := attach(t, m, kinds()["lora"])
	trained(t, m, 6)
	fails := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", what, err, want)
		}
	}
	fails("not merged", a.Unmerge(), "the adapter is not merged")
	if _, err := a.Merge(); err != nil {
		t.Fatal(err)
	}
	_, err := a.Merge()
	fails("merged twice", err, "the adapter is merged already: Unmerge it first")

	fails("attached as well", a.Attach(), "the adapter is merged already")
	_, err = a.MergeAndCompare(m)
	fails("compared without an adapter", err, "q_proj does not hold the adapter: Attach it first")
	set := NewSet(m)
	if err := set.Add("merged", a); err != nil {
		t.Fatal(err)
	}
	fails("used as well", set.Use("merged"), `adapter "merged": multilora: the adapter is merged already`)
	fails("used by rows as well", set.UseRows("", "merged"),
		`adapter "merged": multilora: the adapter is merged already`)

	b := attach(t, m, kinds()["scalar"])
	fails("beneath another", a.Unmerge(), "holds a *multilora.Linear: Detach it first")
	b.Detach()

	merged := bits(t, m)
	last := a.layers[len(a.layers)-1]
	weights := read(t, last.linear.B.Value)
	other := slices.Clone(weights)
	other[3] += 0.5
	last.linear.B.Value.SetFloat32s(other)
	fails("another adapter", a.Unmerge(), "unmerging layer "+last.name+
		": want the adapter and the merged weight as Merge left them, got others")
	for name, want := range merged {
		if got := bits(t, m)[name]; !slices.Equal(got, want) {
			t.Errorf("after the error %s has changed", name)
		}
	}
	last.linear.B.Value.SetFloat32s(weights)
	if err := a.Unmerge(); err != nil {
		t.Errorf("with its own numbers again: %v", err)
	}
}

// Merging into 16-bit weights reports the largest logit difference.
func TestMergeAndCompare(t *testing.T) {
	for dt, most := range map[tensor.DType]float64{tensor.F32: 1e-3, tensor.BF16: 3, tensor.F16: 0.5} {
		m := stored(t, tiny(t, open(t, 2)), dt)
		a := attach(t, m, kinds()["scalar"])
		trained(t, m, 12)
		want, err := probe(m)
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.MergeAndCompare(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := probe(m)
		if err != nil {
			t.Fatal(err)
		}
		difference, largest := 0.0, 0.0
		for i := range want {
			difference = max(difference, math.Abs(float64(got[i])-float64(want[i])))
			largest = max(largest, math.Abs(float64(want[i])))
		}
		if r.LogitDifference != difference || r.LargestLogit != largest || len(r.Layers) != len(a.layers) ||
			!(difference > 0 && difference < most) {
			t.Errorf("%s: reported %g of %g for %d layers, want %g (above 0 and below %g) of %g for %d",
				dt, r.LogitDifference, r.LargestLogit, len(r.Layers), difference, most, largest, len(a.layers))
		}
	}
}
