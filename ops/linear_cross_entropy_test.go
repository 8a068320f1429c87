package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// TestLinearCrossEntropyIsUnfused compares loss and gradients with the two operations
// it stands for, in one chunk and in several.
func TestLinearCrossEntropyIsUnfused(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, dim, vocab, counted = 37, 12, 65, 91
		x, w := randomHeads(1, 1, rows, 1, dim).data, randomHeads(2, 1, vocab, 1, dim).data
		labels := make([]int32, rows)
		r := random.NewStream(3, random.Test, 0, 0)
		for i := range labels {
			if labels[i] = int32(r.IntN(vocab)); i%4 == 0 {
				labels[i] = IgnoreLabel
			}
		}
		run := func(f func(x, w, labels *Var) *Var) (all []float32) {
			tape := autograd.NewTape(d)
			defer tape.Close()
			xv, wv := tape.Leaf(d.FromFloat32s(tensor.F32, x, rows, dim)),
				tape.Leaf(d.FromFloat32s(tensor.F32, w, vocab, dim))
			loss := f(xv, wv, autograd.Const(d.FromInt32s(labels, rows)))
			tape.Keep(loss)
			tape.Backward(Scale(loss, 0.25, 0))
			for _, v := range []*tensor.Tensor{loss.Tensor(), tape.Grad(xv), tape.Grad(wv)} {
				data, err := v.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, data...)
			}
			return all
		}
		want := run(func(x, w, labels *Var) *Var { return CrossEntropy(Linear(x, w, nil), labels, counted) })
		for _, l := range []linearCrossEntropy{
			{logits: logitChunks{bytes: logitBytes}, kept: keptGradBytes},
			{logits: logitChunks{bytes: 4 * vocab * 5}, kept: keptGradBytes},
			{logits: logitChunks{bytes: 4 * vocab * 5}, kept: 0},
		} {
			l.scale = 1 / float32(counted)
			got := run(func(x, w, labels *Var) *Var { return apply(l, x, w, labels) })
			for i := range want {
				if diff := math.Abs(float64(got[i] - want[i])); !(diff <= 1e-6) {
					t.Fatalf("%+v: element %d of loss, dx and dw is %g, unfused %g", l, i, got[i], want[i])
				}
			}
		}
	})
}

// memoryOnly is a backend on which only memory is counted: nothing is computed.
type memoryOnly struct{}

func (memoryOnly) Name() string                           { return "memory only" }
func (memoryOnly) Alloc(bytes int) (tensor.Buffer, error) { return bytes, nil }
func (memoryOnly) Free(tensor.Buffer)                     {}
func (memoryOnly) Run(tensor.Kernel, []tensor.Arg)        {}
func (memoryOnly) Write(tensor.Buffer, int, []byte)       {}
func (memoryOnly) Read(...tensor.Read) error              { return nil }
func (memoryOnly) Flush() error                           { return nil }
func (memoryOnly) Close() error                           { return nil }

// TestLinearCrossEntropyMemory: 32,000 words × 2,048 tokens take at most 64 MB beside
// the inputs, of a frozen weight in bfloat16 90 MB, or twice the gradient of a weight that trains, with those of x 90 MB; and the weight's gradient once more where it is
// small. The logits alone would be 262 MB.
func TestLinearCrossEntropyMemory(t *testing.T) {
	const rows, vocab = 2048, 32000
	measure := func(dt tensor.DType, dim int, trains, forgotten, byRow bool) int {
		d := tensor.NewDevice(memoryOnly{})
		w := autograd.NewParam(d.New(dt, vocab, dim))
		if trains {
			w.Grad = d.New(tensor.F32, vocab, dim)
		}
		if forgotten {
			w.ForgetGrad()
		}
		x, labels := d.New(dt, rows, dim), d.New(tensor.I32, rows)
		gradients := d.New(tensor.F32, rows)
		d.ResetPeak()
		before := d.Stats().Live
		tape := autograd.NewTape(d)
		if xv := tape.Leaf(x); byRow {
			losses := LinearCrossEntropyRows(xv, w.Var(), autograd.Const(labels))
			tape.BackwardFrom([]*Var{losses}, []*tensor.Tensor{gradients})
		} else {
			tape.Backward(LinearCrossEntropy(xv, w.Var(), autograd.Const(labels), rows))
		}
		tape.Close()
		peak := d.Stats().Peak - before
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		return peak
	}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, dim := range []int{64, 131, 512, 1024, 1056} {
			for _, weight := range []string{"frozen", "trains", "trains, its gradient forgotten"} {
				for _, byRow := range []bool{false, true} {
					trains, forgotten := weight != "frozen", weight == "trains, its gradient forgotten"
					limit := 64_000_000
					if trains {
						limit = min(max(limit, 8*dim*vocab), 90_000_000)
					}
					least := logitBytes / 2
					if !trains && dt == tensor.BF16 { // manyRows
						least, limit = 4*manyRows*vocab, 90_000_000
					}
					if kept := 4 * dim * vocab; trains && !forgotten && !byRow && kept <= keptGradBytes {
						limit += kept
					}
					if peak := measure(dt, dim, trains, forgotten, byRow); peak > limit || peak < least {
						t.Errorf("%s, dim %d, weight %s, a gradient for each row %t: %d bytes beside the inputs, "+
							"want %d to %d", dt, dim, weight, byRow, peak, least, limit)
					}
				}
			}
		}
	}
}

// The gradient of a weight is the same, and there once, where it counts as zero before and is written in Forward; in chunks, with
// a factor on the way back, and beside another product. Of two heads with that weight the first one's is made again.
func TestLinearCrossEntropyWritesForgottenGradients(t *testing.T) {
	d := testdevice.CPU(t, 2)
	const rows, dim, vocab, rank = 37, 12, 65, 3
	numbers := func(seed uint64, n, dim int) *tensor.Tensor {
		return d.FromFloat32s(tensor.F32, randomHeads(seed, 1, n, 1, dim).data, n, dim)
	}
	labels := make([]int32, rows)
	for i := range labels {
		labels[i] = int32(i * 7 % vocab)
	}
	gradients := func(heads int, forget bool) (all []float32) {
		w, up := autograd.NewParam(numbers(2, vocab, dim)), autograd.NewParam(numbers(3, vocab, rank))
		block := d.FromFloat32s(tensor.F32, make([]float32, vocab*(dim+rank)), vocab*(dim+rank)) // as optim.Gather has it
		w.Grad, up.Grad = block.View(0, vocab, dim), block.View(vocab*dim, vocab, rank)
		if forget {
			w.ForgetGrad()
			up.ForgetGrad()
		}
		for range 2 { // the second time there is a gradient
			tape := autograd.NewTape(d)
			l := linearCrossEntropy{scale: 1. / rows, logits: logitChunks{bytes: 4 * vocab * 5}, kept: keptGradBytes}
			x, x2, u := tape.Leaf(numbers(1, rows, dim)), tape.Leaf(numbers(5, rows, dim)), tape.Leaf(numbers(4, rows, rank))
			loss := apply(l, x, w.Var(), autograd.Const(d.FromInt32s(labels, rows)), u, up.Var())
			if loss = Scale(loss, 0.3, 0); heads == 2 {
				loss = Add(loss, apply(l, x2, w.Var(), autograd.Const(d.FromInt32s(labels, rows)), u, up.Var()))
			}
			tape.BackwardScaled(loss, 8)
			tape.Close()
			for _, p := range []*autograd.Param{w, up} {
				g, err := p.Grad.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, g...)
			}
		}
		return all
	}
	logits := 0 // chunks of them
	defer d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
		if k.Name() == "cross_entropy_grad" {
			logits++
		}
	})()
	for heads, want := range map[int]int{1: 4, 2: 2*4 + 1} { // two passes with a gradient that was forgotten or not
		logits = 0
		if got, want := gradients(heads, true), gradients(heads, false); !slices.Equal(got, want) || slices.Max(got) == 0 {
			t.Errorf("%d heads: gradients of parameters are others where they were forgotten", heads)
		}
		if want *= (rows + 4) / 5; logits != want {
			t.Errorf("%d heads: %d chunks of logits had gradients, want %d", heads, logits, want)
		}
	}
}

// The losses of rows sum to the loss, are those of CrossEntropy on each row alone, and leave the
// gradients as they are.
func TestLinearCrossEntropyByRow(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, dim, vocab, counted = 9, 6, 17, 5
		x, w := randomHeads(1, 1, rows, 1, dim).data, randomHeads(2, 1, vocab, 1, dim).data
		labels := []int32{3, IgnoreLabel, 16, 0, IgnoreLabel, 7, 7, 2, 11}
		run := func(byRow bool) (loss, losses, dx []float32) {
			tape := autograd.NewTape(d)
			defer tape.Close()
			xv, wv := tape.Leaf(d.FromFloat32s(tensor.F32, x, rows, dim)),
				tape.Leaf(d.FromFloat32s(tensor.F32, w, vocab, dim))
			l, each := LinearCrossEntropy(xv, wv, autograd.Const(d.FromInt32s(labels, rows)), counted), (*Var)(nil)
			if byRow {
				l, each = LinearCrossEntropyByRow(xv, wv, autograd.Const(d.FromInt32s(labels, rows)), counted)
				if each.NeedsGrad() {
					t.Error("the losses of rows want a gradient")
				}
				tape.Keep(each)
			}
			tape.Keep(l)
			tape.Backward(l)
			read := func(x *tensor.Tensor) []float32 {
				v, err := x.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			if byRow {
				losses = read(each.Tensor())
			}
			return read(l.Tensor()), losses, read(tape.Grad(xv))
		}
		want, _, wantDX := run(false)
		loss, losses, dx := run(true)
		if loss[0] != want[0] || !slices.Equal(dx, wantDX) {
			t.Errorf("loss %v, gradient %v; without the rows' losses %v, %v", loss, dx, want, wantDX)
		}
		for r := range rows {
			alone := CrossEntropy(Linear(autograd.Const(d.FromFloat32s(tensor.F32, x[r*dim:(r+1)*dim], 1, dim)),
				autograd.Const(d.FromFloat32s(tensor.F32, w, vocab, dim)), nil),
				autograd.Const(d.FromInt32s(labels[r:r+1], 1)), 1)
			v, err := alone.Tensor().Float32s()
			if err != nil || math.Abs(float64(v[0]-losses[r])) > 1e-5 || labels[r] == IgnoreLabel && losses[r] != 0 {
				t.Errorf("row %d: loss %v, alone %v, %v", r, losses[r], v, err)
			}
		}
	})
}

// TestLogitChunks: how many rows of logits are in memory at once follows from the weight and whether it trains, not from whether
// a tape is open, on which an evaluation's bits would depend then.
func TestLogitChunks(t *testing.T) {
	d := tensor.NewDevice(memoryOnly{})
	for _, c := range []struct {
		vocab, dim int
		dt         tensor.DType
		trains     bool
		want       int // rows of a chunk
	}{
		{32000, 288, tensor.F32, false, 256},
		{32000, 288, tensor.F32, true, 512},
		{32000, 768, tensor.F32, true, 512},
		{32000, 768, tensor.BF16, true, 512},
		{32000, 2048, tensor.F32, false, 512},
		{128256, 2048, tensor.BF16, false, 256},
		{128256, 2048, tensor.BF16, true, 512},
		{512, 64, tensor.F32, true, 2048},
	} {
		w := autograd.NewParam(d.New(c.dt, c.vocab, c.dim))
		if c.trains {
			w.Grad = d.New(tensor.F32, c.vocab, c.dim)
		}
		x, labels := autograd.Const(d.New(tensor.F32, 2048, c.dim)), autograd.Const(d.New(tensor.I32, 2048))
		for _, recorded := range []bool{false, true} {
			var rows []int
			stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
				if k, ok := k.(kernels.CrossEntropy); ok {
					rows = append(rows, k.Rows)
				}
			})
			if recorded {
				tape := autograd.NewTape(d)
				LinearCrossEntropy(x, w.Var(), labels, 2048)
				tape.Close()
			} else {
				LinearCrossEntropy(x, w.Var(), labels, 2048)
			}
			stop()
			if rows[0] != c.want {
				t.Errorf("%d words of %d %s, trains %t, with a tape %t: chunks of %v rows, want %d", c.vocab, c.dim, c.dt, c.trains,
					recorded, rows, c.want)
			}
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
