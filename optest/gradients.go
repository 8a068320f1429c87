package optest

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// probes is how many elements of an input are differentiated numerically: all of a
// small input, else this many chosen at random; fewer where the example is Brief.
const (
	probes      = 24
	briefProbes = 3
)

// Gradients compares every example's gradients with central differences, all in
// float64, and the gradients added to a parameter's Grad with those returned.
func Gradients(t *testing.T, d *tensor.Device, ops []autograd.Op) {
	each(t, ops, func(t *testing.T, _ int, e autograd.Example) {
		f64 := dtypes{tensor.F64, tensor.F64, tensor.F64}
		data := make([][]float64, len(e.In))
		for i := range e.In {
			if e.In[i].Shape != nil {
				data[i] = values(e, i)
			}
		}
		got, err := run(d, e, data, f64, true, false)
		if err != nil {
			t.Fatal(err)
		}
		added, err := run(d, e, data, f64, true, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range got.names {
			want := slices.Clone(got.data[i])
			if got.input[i] >= 0 {
				for j := range want {
					want[j] += before
				}
			}
			if ne := normalizedError(added.data[i], want); ne > 1e-24 {
				t.Errorf("%s differs when added to a parameter's: normalized error %g", name, ne)
			}
		}
		eval := func() float64 {
			r, err := run(d, e, data, f64, false, false)
			if err != nil {
				t.Fatal(err)
			}
			return r.scalar()
		}
		for k, name := range got.names {
			n := probes
			if e.Brief {
				n = briefProbes
			}
			if i := got.input[k]; i >= 0 {
				compareGradient(t, name, n, got.data[k], data[i], eval)
			}
		}
	})
}

func compareGradient(t *testing.T, name string, probes int, grad, x []float64, eval func() float64) {
	t.Helper()
	largest := 0.0
	for _, g := range grad {
		largest = max(largest, math.Abs(g))
	}
	order := random.NewStream(uint64(len(x)), random.Test, 2, 0).Perm(len(x))
	for _, j := range order[:min(probes, len(order))] {
		h := 1e-5 * max(1, math.Abs(x[j]))
		keep := x[j]
		x[j] = keep + h
		up := eval()
		x[j] = keep - h
		down := eval()
		x[j] = keep
		want := (up - down) / (2 * h)
		if diff := math.Abs(grad[j] - want); !(diff <= 1e-6*max(1, largest, math.Abs(want))) {
			t.Errorf("%s, element %d: %g, central difference %g", name, j, grad[j], want)
			return
		}
	}
}
