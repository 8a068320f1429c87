// Package optest is the compliance suite of operations and backends. It makes every
// Example of every operation run
//
//   - in float64, its gradients against central differences (Gradients);
//   - on a backend, every dtype against the plain loops of the CPU, with memory
//     pre-filled with NaN and fenced by guard words (Agree);
//   - as a benchmark (Benchmark).
//
// A new operation or backend needs no test code of its own for this.
package optest

import (
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// randomShapes is how many examples are drawn for an operation that is Randomized; with go test -short, none.
const randomShapes = 50

// seedVariable names the environment variable that draws other random shapes.
const seedVariable = "AGORA_SEED"

// each runs f as a sub-test for every example of every operation.
func each(t *testing.T, ops []autograd.Op, f func(t *testing.T, i int, e autograd.Example)) {
	for _, op := range ops {
		examples := op.Examples()
		if len(examples) == 0 {
			t.Errorf("%s has no examples", autograd.OpName(op))
		}
		if o, ok := op.(autograd.Randomized); ok && !testing.Short() {
			examples = append(examples, drawn(t, o)...)
		}
		for i, e := range examples {
			if !e.Large {
				t.Run(autograd.OpName(op)+"/"+e.Name, func(t *testing.T) { f(t, i, e) })
			}
		}
	}
}

func drawn(t testing.TB, op autograd.Randomized) []autograd.Example {
	seed := uint64(1)
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s=%q: want a number", seedVariable, s)
		}
	}
	r := random.NewStream(seed, random.Test, 3, 0)
	examples := make([]autograd.Example, randomShapes)
	for i := range examples {
		examples[i] = op.RandomExample(r)
		examples[i].Brief = true
	}
	return examples
}

// values are the host values of an input, the same in every run of an example.
func values(e autograd.Example, i int) []float64 {
	in := e.In[i]
	h := fnv.New64a()
	fmt.Fprint(h, e.Name, i, in.Shape)
	r := random.NewStream(h.Sum64(), random.Test, 0, 0)
	out := make([]float64, tensor.Numel(in.Shape))
	for j := range out {
		if in.Value != nil {
			out[j] = in.Value(j, r)
		} else {
			out[j] = r.Normal()
		}
	}
	return out
}

// dtypes of one run: activations, weights and statistics.
type dtypes struct{ t, w, s tensor.DType }

func (d dtypes) String() string { return d.t.String() + "," + d.w.String() }

// of is the dtype of an input; a weight whose rows are no whole blocks stays f32 where
// the others are quantized.
func (d dtypes) of(in autograd.Input) tensor.DType {
	switch in.Kind {
	case autograd.Activation:
		return d.t
	case autograd.Weight:
		if d.w.IsQuantized() && !quantizable(in, d.w) {
			return tensor.F32
		}
		return d.w
	case autograd.Stat:
		return d.s
	}
	return tensor.I32
}

// quantizable reports whether a weight may be stored in blocks of a type: a matrix of whole ones.
func quantizable(in autograd.Input, dt tensor.DType) bool {
	return in.Kind == autograd.Weight && len(in.Shape) == 2 && in.Shape[1]%dt.BlockLen() == 0
}

// differentiable reports whether an input has a gradient; a quantized weight is frozen.
func (d dtypes) differentiable(in autograd.Input) bool {
	return in.Shape != nil && !in.NoGrad && in.Kind != autograd.Index && !d.of(in).IsQuantized()
}

func upload(d *tensor.Device, dt tensor.DType, data []float64, shape []int) *tensor.Tensor {
	if dt == tensor.I32 {
		ints := make([]int32, len(data))
		for i, v := range data {
			ints[i] = int32(v)
		}
		return d.FromInt32s(ints, shape...)
	}
	if dt > tensor.Q4 && dt.IsQuantized() { // blocks of the kind that its numbers draw
		i := 0
		next := func() uint32 {
			i++
			return math.Float32bits(float32(data[i*7%len(data)]))>>uint(i%16) ^ uint32(i)
		}
		return d.FromBytes(dt, quant.Type(dt-tensor.Q8).Random(next, len(data), 2), shape...)
	}
	return d.FromFloat64s(dt, data, shape...)
}

// result of one run of an example: outputs, then the gradients of the inputs that
// have one, by name.
type result struct {
	names []string
	input []int // whose gradient it is, -1 for an output
	data  [][]float64
	dt    []tensor.DType
}

// weights of the outputs in the scalar that is differentiated.
func outputWeights(out, n int) []float64 {
	r := random.NewStream(uint64(out), random.Test, 1, 0)
	w := make([]float64, n)
	for i := range w {
		w[i] = r.Normal()
	}
	return w
}

// before is what a parameter's Grad holds when Backward adds to it.
const before = 0.5

// run executes an example with the given values: forward, and backward if grads.
// With asParams the differentiable inputs are parameters whose Grad holds `before`
// everywhere, which the gradients of the result then include.
func run(d *tensor.Device, e autograd.Example, data [][]float64, dt dtypes, grads, asParams bool) (res result,
	err error) {
	outer := d.Scope()
	defer outer.Close()
	tape := autograd.NewTape(d) // it has the inputs, so that those are gone which an operation does not say it reads
	defer tape.Close()
	tape.Seed, tape.Step = 42, 3
	in := make([]*autograd.Var, len(e.In))
	params := make([]*autograd.Param, len(e.In))
	tensors := make([]*tensor.Tensor, len(e.In))
	for i, spec := range e.In {
		if spec.Shape == nil {
			continue
		}
		tensors[i] = upload(d, dt.of(spec), data[i], spec.Shape)
		if grads && asParams && dt.differentiable(spec) {
			g := make([]float64, len(data[i]))
			for j := range g {
				g[j] = before
			}
			params[i] = autograd.NewParam(tensors[i])
			params[i].Grad = d.FromFloat64s(autograd.StatType(tensors[i].DType()), g, spec.Shape...)
		}
	}
	for i, spec := range e.In {
		switch {
		case spec.Shape == nil:
		case params[i] != nil:
			in[i] = params[i].Var()
		case grads && dt.differentiable(spec):
			in[i] = tape.Leaf(tensors[i])
		default:
			in[i] = autograd.Const(tensors[i])
		}
	}
	outs := e.Call(in)
	var seeds []*tensor.Tensor
	var floats []*autograd.Var
	for i, v := range outs {
		name := fmt.Sprintf("output %d", i)
		if v.Tensor().DType() == tensor.I32 {
			ints, err := v.Tensor().Int32s()
			if err != nil {
				return res, err
			}
			f := make([]float64, len(ints))
			for j, n := range ints {
				f[j] = float64(n)
			}
			res.add(name, -1, f, tensor.I32)
			continue
		}
		if err := res.read(name, -1, v.Tensor()); err != nil {
			return res, err
		}
		floats = append(floats, v)
		seeds = append(seeds, d.FromFloat64s(v.Tensor().DType(), outputWeights(i, v.Tensor().Numel()), v.Shape()...))
	}
	if !grads {
		return res, d.Err()
	}
	tape.BackwardFrom(floats, seeds)
	for i, spec := range e.In {
		if !dt.differentiable(spec) {
			continue
		}
		name := fmt.Sprintf("gradient of input %d", i)
		g := tape.Grad(in[i])
		if params[i] != nil {
			g = params[i].Grad
		}
		if g == nil {
			return res, fmt.Errorf("%s is missing", name)
		}
		if params[i] == nil && spec.Kind == autograd.Activation && g.DType() != tensors[i].DType() {
			return res, fmt.Errorf("%s is %s, the input %s", name, g, tensors[i])
		}
		if err := res.read(name, i, g); err != nil {
			return res, err
		}
		if spec.Kind == autograd.Activation { // rounded so on its way to a parameter's f32 Grad
			res.dt[len(res.dt)-1] = dt.t
		}
	}
	return res, d.Err()
}

func (r *result) add(name string, input int, data []float64, dt tensor.DType) {
	r.names, r.input = append(r.names, name), append(r.input, input)
	r.data, r.dt = append(r.data, data), append(r.dt, dt)
}

func (r *result) read(name string, input int, t *tensor.Tensor) error {
	data, err := t.Float64s()
	r.add(name, input, data, t.DType())
	return err
}

// scalar is the number that is differentiated: the outputs' weighted sum.
func (r result) scalar() float64 {
	sum := 0.0
	for i, data := range r.data {
		if r.dt[i] == tensor.I32 {
			continue
		}
		for j, w := range outputWeights(i, len(data)) {
			sum += w * data[j]
		}
	}
	return sum
}

// normalizedError is sum (a-b)² / sum b², infinite where one has a NaN or an
// infinity that the other has not.
func normalizedError(a, b []float64) float64 {
	var diff, norm float64
	for i := range a {
		if a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i]) {
			if !math.IsNaN(b[i]) && !math.IsInf(b[i], 0) {
				norm += b[i] * b[i]
			}
			continue
		}
		if math.IsNaN(a[i]-b[i]) || math.IsInf(a[i]-b[i], 0) {
			return math.Inf(1)
		}
		diff += (a[i] - b[i]) * (a[i] - b[i])
		norm += b[i] * b[i]
	}
	if diff == 0 {
		return 0
	}
	return diff / norm
}
