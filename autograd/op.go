package autograd

import (
	"reflect"
	"strings"
	"sync"
	"unicode"

	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Op is an operation: a struct whose fields are its attributes.
type Op interface {
	// Forward computes the outputs, and what Backward will want to see again.
	Forward(f *Forward) (out, saved []*tensor.Tensor)
	// Backward writes the gradients of the inputs to where b says.
	Backward(b *Backward)
	// Examples are the calls that every test makes (package optest).
	Examples() []Example
}

// Forward is what an operation's Forward is called with, and is good until that returns. Tensors that it makes that are
// neither outputs nor saved are freed then.
type Forward struct {
	*tensor.Device
	In    []*tensor.Tensor // nil where an optional input is not given
	Needs []bool           // whose gradient Backward will be asked for; all false without a tape

	tape   *Tape
	vars   []*Var
	early  []early
	passes []bool // Needs, or in the first run of a checkpointed segment what it will be in the second
}

// AnyNeeds reports whether Backward will be asked for anything.
func (f *Forward) AnyNeeds() bool { return anyOf(f.Needs) }

// Random is where this call draws its random numbers from: every call of a step has
// a counter of its own, and the recomputation of a checkpoint the same ones again.
// ok is false without a tape: inference draws none.
func (f *Forward) Random() (at RandomAt, ok bool) {
	if f.tape == nil {
		return at, false
	}
	at = RandomAt{random.Key(f.tape.Seed, random.Dropout), f.tape.Step, f.tape.randomOp}
	f.tape.randomOp++
	return at, true
}

// RandomAt is a position in a random stream: Philox key and the counter's upper half.
type RandomAt struct {
	Key      [2]uint32
	Step, Op uint32
}

// StatType is the dtype of statistics and parameter gradients beside tensors of
// dtype dt: f64 beside f64 (gradient checks), f32 beside everything else.
func StatType(dt tensor.DType) tensor.DType {
	if dt == tensor.F64 {
		return tensor.F64
	}
	return tensor.F32
}

// Example is one call of an operation, of a size that tests can afford.
type Example struct {
	Name string
	In   []Input
	Call func(in []*Var) []*Var // through the public function
	// Brief marks one of many examples of the same kind: tests use f32 alone, and
	// few probes.
	Brief bool
	// Large marks a size for benchmarks, which tests skip.
	Large bool
}

// Randomized is an operation whose sizes deserve to be drawn by chance as well:
// tests make many such examples, each of them Brief.
type Randomized interface {
	RandomExample(r *random.Stream) Example
}

// Input describes one input of an Example.
type Input struct {
	Shape []int // nil: the optional input is not given
	Kind  Kind
	// Value gives element i; nil means standard normal numbers.
	Value func(i int, r *random.Stream) float64
	// NoGrad marks an input that is not differentiable or always frozen.
	NoGrad bool
}

// Kind says which dtypes tests may give an input.
type Kind uint8

const (
	Activation Kind = iota // f32, f16 or bf16, all activations the same
	Weight                 // f32, f16 or bf16, independent of the activations
	Stat                   // always f32
	Index                  // i32
)

// Apply runs op and records it if a tape is open on the device and an input needs a
// gradient. Inputs may be nil where the operation allows it.
func Apply(op Op, in ...*Var) []*Var {
	if op == nil {
		tensor.Panicf("apply", "want an operation, got nil")
	}
	var d *tensor.Device
	a := newApplication(in)
	tensors := a.forward.In
	for i, v := range in {
		if v == nil {
			continue
		}
		if v.t == nil { // making the name takes longer than the rest of the check
			v.must(OpName(op))
		}
		tensors[i] = v.t
		switch of := v.t.Device(); {
		case d == nil:
			d = of
		case d != of:
			tensor.Panicf(OpName(op), "input %d, %s, lives on another device than those before", i, v)
		}
	}
	if d == nil {
		tensor.Panicf(OpName(op), "want at least one input, got only nil")
	}
	rec := recording(d)
	f := &a.forward
	f.Device, f.tape = d, rec.tape
	for i, v := range in {
		if v == nil {
			continue
		}
		if v.tape != nil && v.tape.closed {
			tensor.Panicf(OpName(op), "input %d, %s, belongs to a tape that has been closed", i, v)
		}
		if v.tape != nil && (v.tape != rec.tape || !rec.on) {
			tensor.Panicf(OpName(op), "input %d, %s, belongs to another tape: inside Checkpoint only parameters, "+
				"constants and its argument may be used", i, v)
		}
		f.passes[i] = rec.tape != nil && (v.NeedsGrad() || v.passes)
		f.Needs[i] = rec.on && f.passes[i]
		if f.Needs[i] && v.t.DType().IsQuantized() {
			tensor.Panicf(OpName(op), "input %d, %s, is quantized and has no gradient: freeze it", i, v)
		}
	}
	if rec.segment != nil {
		rec.segment.use(tensors)
	}
	c := &a.call
	first := new(result)
	c.op, c.needs, c.out = op, f.passes, first.out[:0]
	differentiable := rec.tape != nil && (anyOf(f.passes) || alwaysRecorded(op))
	var out []*tensor.Tensor
	if before := rec.unneeded(op, differentiable); before != nil {
		c.op, out = before.op, tensorsOf(before.out)
	} else {
		out, c.saved = a.run(op)
		c.early = f.leave()
	}
	for i, t := range out {
		v := &first.Var
		if i > 0 {
			v = new(Var)
		}
		v.t, v.op = t, c.op
		if v.passes = differentiable && t.DType() != tensor.I32; v.passes && rec.on {
			v.tape = rec.tape
		}
		c.out = append(c.out, v)
	}
	results := c.out
	switch {
	case !differentiable:
		a.recycle()
	case rec.on:
		rec.tape.record(c)
	default:
		rec.segment.use(c.saved)
		rec.segment.note(c)
	}
	return results
}

// An application is what Apply makes for an operation of few inputs, in one allocation, and uses again where nothing is
// recorded: when a text is generated, allocating takes about as long as the operations. Its outputs are in another: they
// may live on, and must not hold the inputs.
type application struct {
	forward       Forward
	call          call
	scope         tensor.Scope
	vars          [8]*Var
	in            [8]*tensor.Tensor
	needs, passes [8]bool
}

// A result is the first output, and room for the list of it alone.
type result struct {
	Var
	out [1]*Var
}

var applications = sync.Pool{New: func() any { return new(application) }}

// newApplication is one to these inputs, whose tensors are still to be set.
func newApplication(in []*Var) *application {
	a, n := applications.Get().(*application), len(in)
	f := &a.forward
	if n <= len(a.in) {
		f.In, f.Needs, f.passes = a.in[:n], a.needs[:n], a.passes[:n]
	} else {
		f.In, f.Needs, f.passes = make([]*tensor.Tensor, n), make([]bool, n), make([]bool, n)
	}
	a.call.in = append(a.vars[:0], in...)
	f.vars = a.call.in
	return a
}

// recycle leaves the application, which nobody holds, to another call.
func (a *application) recycle() {
	*a = application{}
	applications.Put(a)
}

// run runs op in a scope of its own, which is closed also when op panics: whoever
// catches that goes on in the scope of before.
func (a *application) run(op Op) (out, saved []*tensor.Tensor) {
	a.forward.OpenScope(&a.scope)
	defer a.scope.Close()
	out, saved = op.Forward(&a.forward)
	a.scope.Keep(out...)
	for _, t := range saved {
		if t != nil {
			a.scope.Keep(t)
		}
	}
	return out, saved
}

// Named is an operation that is called otherwise than its type.
type Named interface{ OpName() string }

// OpName is the operation's name in messages and tests, as that of its kernel: rms_norm for a type rmsNorm,
// if it is not Named.
func OpName(op Op) string {
	if n, ok := op.(Named); ok {
		return n.OpName()
	}
	t := reflect.TypeOf(op)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var name strings.Builder
	for i, r := range t.Name() {
		if unicode.IsUpper(r) && i > 0 {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}

func tensorsOf(vs []*Var) []*tensor.Tensor {
	ts := make([]*tensor.Tensor, len(vs))
	for i, v := range vs {
		ts[i] = v.t
	}
	return ts
}

func anyOf(bs []bool) bool {
	for _, b := range bs {
		if b {
			return true
		}
	}
	return false
}
