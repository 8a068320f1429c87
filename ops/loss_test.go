package ops

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// The rows' losses of micro-batches add up to the step's.
func TestCrossEntropyOfMicroBatchesAddsUp(t *testing.T) {
	d := testdevice.CPU(t, 1)
	logits := autograd.Const(d.FromFloat32s(tensor.F32, []float32{0, 0, 0, 1, 2, 3, 5, 5, 5}, 3, 3))
	labels := autograd.Const(d.FromInt32s([]int32{2, 0, IgnoreLabel}, 3))
	// -log softmax: log 3, and log(e + e² + e³) - 1.
	want := (math.Log(3) + math.Log(math.Exp(0)+math.Exp(1)+math.Exp(2))) / 2
	read := func(v *Var) float64 {
		f, err := v.Tensor().Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return f[0]
	}
	if got := read(CrossEntropy(logits, labels, 2)); math.Abs(got-want) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
	sum := 0.0
	for i := range 3 {
		sum += read(CrossEntropy(Slice(logits, 0, i, i+1), autograd.Const(labels.Tensor().View(i, 1)), 2))
	}
	if math.Abs(sum-want) > 1e-6 {
		t.Errorf("row by row %v, want %v", sum, want)
	}
}

func TestWrongLabelsAndIdsGiveNaNInTheirRowAlone(t *testing.T) {
	d := testdevice.CPU(t, 1)
	tape := autograd.NewTape(d)
	defer tape.Close()
	logits := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{0, 1, 2, 3, 4, 5}, 3, 2))
	loss := CrossEntropy(logits, autograd.Const(d.FromInt32s([]int32{1, 2, -1}, 3)), 3)
	table := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 2, 2))
	rows := Embedding(table, autograd.Const(d.FromInt32s([]int32{1, 2, -1}, 3)))
	tape.Keep(rows)
	tape.Backward(loss)
	for name, x := range map[string]*tensor.Tensor{"loss": loss.Tensor(), "gradient": tape.Grad(logits),
		"embedding": rows.Tensor()} {
		f, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range f {
			if wrong := name == "loss" || i >= 2; wrong != (v != v) {
				t.Errorf("%s: element %d is %v, NaN wanted: %t", name, i, v, wrong)
			}
		}
	}
}

// A row with an infinite logit has no probabilities: neither its loss nor its gradient is a number, whatever its label.
func TestInfiniteLogitsGiveNaNInTheirRowAlone(t *testing.T) {
	d := testdevice.CPU(t, 1)
	for label := range int32(3) {
		tape := autograd.NewTape(d)
		logits := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{1, float32(math.Inf(1)), 2, 0, 1, 2}, 2, 3))
		loss := CrossEntropy(logits, autograd.Const(d.FromInt32s([]int32{label, label}, 2)), 1)
		tape.Keep(loss)
		tape.Backward(loss)
		for name, x := range map[string]*tensor.Tensor{"loss": loss.Tensor(), "gradient": tape.Grad(logits)} {
			f, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range f {
				if wrong := i < 3; wrong != (v != v) {
					t.Errorf("label %d, %s: element %d is %v, NaN wanted: %t", label, name, i, v, wrong)
				}
			}
		}
		tape.Close()
	}
}

func TestDropoutDependsOnSeedStepAndCallAlone(t *testing.T) {
	d := testdevice.CPU(t, 1)
	const n, p = 40000, 0.25
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	x := d.FromFloat32s(tensor.F32, ones, n)
	draw := func(seed uint64, step uint32, calls int) []float32 {
		tape := autograd.NewTape(d)
		defer tape.Close()
		tape.Seed, tape.Step = seed, step
		var y *Var
		for range calls {
			y = Dropout(autograd.Const(x), p)
		}
		f, err := y.Tensor().Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := draw(1, 1, 1)
	kept := 0
	for i, v := range first {
		if v != 0 && v != 1/float32(1-p) {
			t.Fatalf("element %d is %v, want 0 or %v", i, v, 1/float32(1-p))
		}
		if v != 0 {
			kept++
		}
	}
	if share := float64(kept) / n; math.Abs(share-(1-p)) > 0.01 { // five standard deviations
		t.Errorf("%.3f of the elements are kept, want %.3f", share, 1-p)
	}
	differ := func(a, b []float32) (count int) {
		for i := range a {
			if a[i] != b[i] {
				count++
			}
		}
		return count
	}
	if n := differ(first, draw(1, 1, 1)); n != 0 {
		t.Errorf("the same call gives %d other elements", n)
	}
	for name, other := range map[string][]float32{"seed": draw(2, 1, 1), "step": draw(1, 2, 1), "call": draw(1, 1, 2)} {
		if differ(first, other) < n/4 { // two independent masks differ in 2 p (1-p) = 3/8
			t.Errorf("another %s gives nearly the same mask", name)
		}
	}
}
