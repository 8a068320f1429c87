package optim

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/null"
	"github.com/agora-ml/agora/tensor"
)

func TestGather(t *testing.T) {
	d := device(t)
	m := newModel(d, tensor.BF16)
	params := []*autograd.Param{m.W, m.Norm, m.S, m.Half}
	var before [][]float32
	for _, p := range params {
		before = append(before, read(t, p.Value))
	}
	frozen, left, view := m.Frozen.Value, m.W.Value, m.S.Value.View(0, 1)
	tr := mustGather(t, d, m)
	if left.Alive() || !view.Alive() {
		t.Errorf("the value that was moved lives: %t, that of which somebody has a view: %t; want false and true",
			left.Alive(), view.Alive())
	}

	var names []string
	for name := range tr.Params() {
		names = append(names, name)
	}
	if want := []string{"w", "norm", "q.s", "half"}; !slices.Equal(names, want) {
		t.Errorf("gathered %v, want %v", names, want)
	}
	if want := 15 + 7 + 6 + 143; tr.Numel() != want {
		t.Errorf("%d numbers, want %d", tr.Numel(), want)
	}
	if m.Frozen.Grad != nil || m.Frozen.Value != frozen {
		t.Error("the frozen parameter was touched")
	}
	for i, p := range params {
		if !slices.Equal(read(t, p.Value), before[i]) {
			t.Errorf("%s has other values than before", names[i])
		}
		if p.Grad == nil || p.Grad.DType() != tensor.F32 || !p.Grad.SameShape(p.Value) {
			t.Fatalf("%s: value %s, gradient %s", names[i], p.Value, p.Grad)
		}
		for _, g := range read(t, p.Grad) {
			if g != 0 {
				t.Fatalf("%s: a gradient begins as %g", names[i], g)
			}
		}
	}
	// w and half decay (one block each: the dtypes differ), norm and s share one.
	if len(tr.blocks) != 3 || m.Norm.Value.Memory() != m.S.Value.Memory() ||
		m.Norm.Value.Memory() == m.W.Value.Memory() {
		t.Errorf("%d blocks, want w | norm, s | half", len(tr.blocks))
	}
	for _, e := range tr.entries {
		if e.from%align != 0 {
			t.Errorf("%s begins at element %d, no multiple of %d", e.name, e.from, align)
		}
	}
}

// Parameters lie right behind those that they are to come after, and all are there once.
func TestGatherPutsTogether(t *testing.T) {
	d := tensor.NewDevice(null.Open(null.Options{}))
	defer d.Close()
	type pair struct {
		A *autograd.Param `name:"A"`
		B *autograd.Param `name:"B"`
	}
	param := func(rows int) *autograd.Param { return autograd.NewParam(d.New(tensor.F32, rows, align)) }
	layers := struct {
		Q pair            `name:"q"`
		K pair            `name:"k"`
		V pair            `name:"v"`
		W *autograd.Param `name:"w"` // the same as v's B
	}{pair{param(2), param(3)}, pair{param(1), param(2)}, pair{param(2), param(1)}, nil}
	layers.W = layers.V.B
	layers.K.A.After, layers.V.A.After = layers.Q.A, layers.K.A
	layers.V.B.After = autograd.NewParam(nil) // of another model
	tr := mustGather(t, d, &layers)
	var names []string
	for name := range tr.Params() {
		names = append(names, name)
	}
	if want := []string{"q.A", "k.A", "v.A", "q.B", "k.B", "v.B"}; !slices.Equal(names, want) {
		t.Errorf("gathered %q, want %q", names, want)
	}
	for _, of := range []func(*autograd.Param) *tensor.Tensor{
		func(p *autograd.Param) *tensor.Tensor { return p.Value }, func(p *autograd.Param) *tensor.Tensor { return p.Grad },
	} {
		if all, ok := tensor.Joined(of(layers.Q.A), of(layers.K.A), of(layers.V.A)); !ok || !all.HasShape(5, align) {
			t.Errorf("the A's are not together: %v", all)
		}
	}
}

// Parameters that make up one memory leave it free; where one of them stays, it stays.
func TestGatherFreesWhatNeighborsLeave(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		d := device(t)
		all := d.NewExact(tensor.F32, 5, 7)
		all.SetFloat32s(make([]float32, 35))
		var m struct {
			A *autograd.Param `name:"a"`
			B *autograd.Param `name:"b"`
		}
		m.A, m.B = autograd.NewParam(all.View(0, 2, 7)), autograd.NewParam(all.View(14, 3, 7))
		m.B.Frozen = frozen
		mustGather(t, d, &m)
		if all.Alive() != frozen {
			t.Errorf("frozen neighbor %t: the memory that was left is there: %t", frozen, all.Alive())
		}
	}
}

// Blocks are closed where the next parameter does not fit; one that is larger than any
// block stands alone.
func TestGatherCutsBlocks(t *testing.T) {
	d := device(t)
	var m struct {
		P []*autograd.Param `name:"p"`
	}
	for _, n := range []int{100, 100, 100, 1000, 1} {
		m.P = append(m.P, autograd.NewParam(d.FromFloat32s(tensor.F32, numbers(1, n), n)))
	}
	tr, err := gather(d, &m, Division{}, nil, 2*128*4)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, b := range tr.blocks {
		sizes = append(sizes, b.n)
	}
	if want := []int{256, 128, 1024, 128}; !slices.Equal(sizes, want) {
		t.Errorf("blocks of %v, want %v", sizes, want)
	}
	for i, p := range m.P {
		if !slices.Equal(read(t, p.Value), numbers(1, p.Value.Numel())) {
			t.Errorf("parameter %d has other values", i)
		}
	}
}

func TestGatherErrors(t *testing.T) {
	d := device(t)
	nan := float32(math.NaN())
	frozen := &struct {
		P *autograd.Param `name:"p"`
	}{autograd.Frozen(d.New(tensor.F32, 1))}
	wide := &struct {
		P *autograd.Param `name:"layers.0.p"`
	}{autograd.NewParam(d.New(tensor.F64, 1))}
	for _, c := range []struct {
		want   string
		model  any
		groups []Group
	}{
		{"nothing to gather", frozen, nil},
		{"layers.0.p is f64[1]: want f32, f16 or bf16", wide, nil},
		{`group "*.t" matches none of the 4`, newModel(d, tensor.F16),
			[]Group{{Match: "*.s", LRFactor: 2}, {Match: "*.t", LRFactor: 1}}},
		{`group "*.s" matches none`, newModel(d, tensor.F16),
			[]Group{{Match: "*", LRFactor: 2}, {Match: "*.s", LRFactor: 1}}},
		{`group "[": field Match`, newModel(d, tensor.F16), []Group{{Match: "[", LRFactor: 2}}},
		{`group "*": field LRFactor: want a positive number, got 0`, newModel(d, tensor.F16), []Group{{Match: "*"}}},
		{`group "*": field WeightDecay: want at least 0, got NaN`, newModel(d, tensor.F16),
			[]Group{{Match: "*", LRFactor: 1, WeightDecay: nan}}},
	} {
		if _, err := Gather(d, c.model, c.groups...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want it to say %q", err, c.want)
		}
	}
}
