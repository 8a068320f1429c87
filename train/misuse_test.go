package train_test

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

type quiet struct{}

func (quiet) Say(string)          {}
func (quiet) Begin(int, int)      {}
func (quiet) Record(train.Record) {}

// said is the error of a call, or the *tensor.Error that it has panicked with; fault is any other
// panic.
func said(call func() error) (fault any, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			fault = r
		case error: // of a package below tensor
			err = r
		default:
			fault = r
		}
	}()
	return nil, call()
}

// A mistake of a program that uses the library is an error, or a panic with a *tensor.Error, that
// says what it is; never a nil pointer or an index out of range.
func TestMisuse(t *testing.T) {
	open := func() *tensor.Device {
		d, err := device.OpenWith("cpu", device.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	d, other, closed := open(), open(), open()
	kept := closed.FromFloat32s(tensor.F32, []float32{1, 2}, 2)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	dir := tinymodel.Write(t)
	m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	x, far := d.FromFloat32s(tensor.F32, []float32{1, 2}, 2), other.FromFloat32s(tensor.F32, []float32{1, 2}, 2)
	scope := d.Scope()
	gone := d.New(tensor.F32, 2)
	scope.Close()
	var none *tensor.Tensor
	var noDevice *tensor.Device
	var noVar *autograd.Var
	var noModel *llama.Model
	var noTok tokenizer.Tokenizer
	noContext := context.Context(nil)
	ctx := t.Context()
	cfg := train.Defaults()
	cfg.Model, cfg.Data, cfg.Out = dir, train.Files("none"), filepath.Join(t.TempDir(), "run")
	seq := data.NewSequence([]int32{3}, []int32{4, 1}, 8)
	do := func(f func()) func() error { return func() error { f(); return nil } }
	second := func(_ any, err error) error { return err }

	for i, c := range []struct {
		name string
		call func() error
		want string
	}{
		// tensors
		{"nil tensor's shape", do(func() { none.Shape() }), "got nil"},
		{"nil tensor's numbers", func() error { return second(none.Float32s()) }, "got nil"},
		{"nil tensor's bytes", func() error { return second(none.RawBytes()) }, "got nil"},
		{"nil tensor's dimension", do(func() { none.Dim(0) }), "got nil"},
		{"nil tensor freed", do(func() { none.Free("") }), "got nil"},
		{"nil tensor reshaped", do(func() { none.Reshape(1) }), "got nil"},
		{"nil tensor's view", do(func() { none.View(0, 1) }), "got nil"},
		{"nil tensor set", do(func() { none.SetFloat32s(nil) }), "got nil"},
		{"shape of a nil tensor", do(func() { x.SameShape(nil) }), "got nil"},
		{"zero tensor's device", do(func() { new(tensor.Tensor).Device() }), "got a zero Tensor"},
		{"zero tensor's type", do(func() { new(tensor.Tensor).DType() }), "got a zero Tensor"},
		{"a tensor after its scope", func() error { return second(gone.Float32s()) }, "is gone: the scope"},
		{"a view after its scope", do(func() { gone.View(0, 1) }), "is gone: the scope"},
		{"a tensor freed twice", do(func() { y := d.New(tensor.F32, 1); y.Free("done"); y.Free("again") }),
			"is gone: done"},
		{"a tensor after its device", func() error { return second(kept.Float32s()) }, "closed"},
		{"i32 of floats", func() error { return second(x.Int32s()) }, "not an i32 tensor"},
		{"too few numbers", do(func() { x.SetFloat32s([]float32{1}) }), "1 elements for f32[2], which has 2"},
		{"too few bytes", do(func() { x.SetBytes([]byte{1}) }), "1 bytes for f32[2], want 8"},
		{"a dimension that is not there", do(func() { x.Dim(1) }), "no dimension 1"},
		{"a view beyond the end", do(func() { x.View(1, 2) }), "which has 2"},
		{"a view of a negative place", do(func() { x.View(-1, 1) }), "from -1 on"},
		{"another number of elements", do(func() { x.Reshape(3) }), "do not fit [3]"},
		// devices
		{"nil device", do(func() { noDevice.New(tensor.F32, 1) }), "want a device, got nil"},
		{"nil device's scope", do(func() { noDevice.Scope() }), "want a device, got nil"},
		{"nil device's error", func() error { return noDevice.Err() }, "want a device, got nil"},
		{"zero Device", do(func() { new(tensor.Device).New(tensor.F32, 1) }), "got a zero Device"},
		{"zero Device closed", func() error { return new(tensor.Device).Close() }, "got a zero Device"},
		{"zero Device flushed", func() error { return new(tensor.Device).Flush() }, "got a zero Device"},
		{"zero Device's name", do(func() { new(tensor.Device).Name() }), "got a zero Device"},
		{"zero Device's memory", do(func() { new(tensor.Device).Stats() }), "got a zero Device"},
		{"no backend", do(func() { tensor.NewDevice(nil) }), "want a backend, got nil"},
		{"no kernel", do(func() { d.Run(nil) }), "want a kernel, got nil"},
		{"unknown type", do(func() { d.New(tensor.DType(99), 1) }), "dtype(99): want f32"},
		{"unknown type's bytes", do(func() { tensor.DType(99).Bytes(1) }), "dtype(99)"},
		{"unknown type's numbers", do(func() { tensor.DType(99).Decode(nil, nil) }), "dtype(99)"},
		{"a shape below 1", do(func() { d.New(tensor.F32, 2, -3) }), "dimension -3"},
		{"a shape of 0", do(func() { d.New(tensor.F32, 0) }), "dimension 0"},
		{"a shape that overflows", do(func() { d.New(tensor.F32, 1<<40, 1<<40) }), "too many elements"},
		{"numbers for another shape", do(func() { d.FromFloat32s(tensor.F32, []float32{1}, 2) }),
			"1 elements for f32[2]"},
		{"bytes for another shape", do(func() { d.FromBytes(tensor.F32, []byte{1}, 2) }), "1 bytes for f32[2], want 8"},
		{"half a block", do(func() { d.New(tensor.Q8, 31) }), "multiple of 32"},
		{"numbers of two devices", func() error { return second(d.Float64s(x, far)) }, "lives on another device"},
		{"numbers of nil", func() error { return second(d.Float64s(nil)) }, "got nil"},
		{"like nil", do(func() { d.Like(nil) }), "got nil"},
		{"kept nil", do(func() { s := d.Scope(); defer s.Close(); s.Keep(nil) }), "got nil"},
		{"nil scope", do(func() { (*tensor.Scope)(nil).Close() }), "want a scope"},
		{"a closed scope", do(func() { s := d.Scope(); s.Close(); s.Keep(x) }), "the scope has closed"},
		// tapes
		{"a tape without a device", do(func() { autograd.NewTape(nil) }), "want a device, got nil"},
		{"nil tape", do(func() { (*autograd.Tape)(nil).Leaf(x) }), "want a tape"},
		{"zero Tape closed", do(func() { new(autograd.Tape).Close() }), "want a tape"},
		{"a leaf of nil", do(func() { tape := autograd.NewTape(d); defer tape.Close(); tape.Leaf(nil) }), "got nil"},
		{"a leaf of another device", do(func() { tape := autograd.NewTape(d); defer tape.Close(); tape.Leaf(far) }),
			"lives on another device than the tape"},
		{"a leaf after Close", do(func() { tape := autograd.NewTape(d); tape.Close(); tape.Leaf(x) }),
			"the tape has been closed"},
		{"backward of nil", do(func() { tape := autograd.NewTape(d); defer tape.Close(); tape.Backward(nil) }),
			"want a variable, got nil"},
		{"backward of a constant", do(func() {
			tape := autograd.NewTape(d)
			defer tape.Close()
			tape.Backward(autograd.Const(d.New(tensor.F32, 1)))
		}), "does not depend on anything that trains"},
		{"the gradient of nil", do(func() { tape := autograd.NewTape(d); defer tape.Close(); tape.Grad(nil) }),
			"want a variable, got nil"},
		{"fewer gradients than outputs", do(func() {
			tape := autograd.NewTape(d)
			defer tape.Close()
			tape.BackwardFrom([]*autograd.Var{tape.Leaf(x)}, nil)
		}), "0 gradients for 1 outputs"},
		{"a gradient of nil", do(func() {
			tape := autograd.NewTape(d)
			defer tape.Close()
			tape.BackwardFrom([]*autograd.Var{tape.Leaf(x)}, []*tensor.Tensor{nil})
		}), "gradient 0 is nil"},
		{"a constant of nil", do(func() { autograd.Const(nil) }), "want a tensor, got nil"},
		{"nil variable's tensor", do(func() { noVar.Tensor() }), "want a variable, got nil"},
		{"zero Var's shape", do(func() { new(autograd.Var).Shape() }), "got a zero Var"},
		{"a parameter of nil", do(func() { autograd.NewParam(nil).Var() }), "want a parameter with a value"},
		{"nil parameter", do(func() { (*autograd.Param)(nil).Var() }), "want a parameter with a value"},
		{"nil operation", do(func() { autograd.Apply(nil) }), "want an operation, got nil"},
		{"a checkpoint of nil", do(func() {
			autograd.Checkpoint(func(v *autograd.Var) *autograd.Var { return v }, nil)
		}), "want a variable, got nil"},
		{"a checkpoint without a function", do(func() { autograd.Checkpoint(nil, autograd.Const(x)) }),
			"want a function, got nil"},
		// layers and optimizers
		{"layers on no device", do(func() { nn.NewLinear(nn.NewInitializer(nil, 0), 2, 2, false) }),
			"want a device, got nil"},
		{"layers of no Initializer", do(func() { nn.NewLinear(nil, 2, 2, false) }), "want an Initializer"},
		{"a layer of no width", do(func() { nn.NewLinear(nn.NewInitializer(d, 0), 0, 2, false) }), "dimension 0"},
		{"a zero Linear", do(func() { new(nn.Linear).Forward(autograd.Const(x)) }), "want a parameter"},
		{"a Linear of nil", do(func() { nn.NewLinear(nn.NewInitializer(d, 0), 2, 2, false).Forward(nil) }), "got nil"},
		{"a zero Embedding", do(func() { new(nn.Embedding).Forward(autograd.Const(x)) }), "want a parameter"},
		{"a zero RMSNorm", do(func() { new(nn.RMSNorm).Forward(autograd.Const(x)) }), "want a parameter"},
		{"gather on no device", func() error { return second(optim.Gather(nil, m)) }, "want a device, got nil"},
		{"gather of nothing", func() error { return second(optim.Gather(d, nil)) }, "want a model, got nil"},
		{"an optimizer of nothing", func() error { return second(optim.New(nil, optim.DefaultAdamW())) },
			"want what trains, got nil"},
		{"a schedule of no steps", func() error { return second(optim.NewSchedule("cosine", 0, 0)) }, "positive total"},
		// models and adapters
		{"a model without a context", func() error {
			return second(llama.Load(noContext, d, dir, llama.LoadOptions{}))
		}, "want a context, got nil"},
		{"a model on no device", func() error { return second(llama.Load(ctx, nil, dir, llama.LoadOptions{})) },
			"want a device, got nil"},
		{"a model on a zero Device", func() error {
			return second(llama.New(new(tensor.Device), tinymodel.Config(), 1))
		}, "got a zero Device"},
		{"a model of a zero Config", func() error { return second(llama.New(d, llama.Config{}, 1)) }, "want"},
		{"a model of an unknown type", func() error {
			return second(llama.NewAs(d, tinymodel.Config(), tensor.DType(99), 1))
		}, "dtype(99)"},
		{"attached to nothing", func() error { return second(multilora.Attach(nil, multilora.Defaults(), 1)) },
			"want a model, got nil"},
		{"attached to a nil model", func() error {
			return second(multilora.Attach(noModel, multilora.Defaults(), 1))
		}, "want a model, got nil"},
		{"attached by a zero Config", func() error { return second(multilora.Attach(m, multilora.Config{}, 1)) },
			"field method"},
		{"opened on nothing", func() error { return second(multilora.Open(nil, dir, multilora.Options{})) },
			"want a model, got nil"},
		{"added nil to a set", func() error { return multilora.NewSet(m).Add("a", nil) }, "want an adapter, got nil"},
		{"logits of ids beyond the vocabulary", do(func() { m.Logits(llama.Batch{Rows: 1, IDs: []int32{1 << 20}}) }),
			"1048576"},
		{"logits of a zero Batch", do(func() { m.Logits(llama.Batch{}) }), "want"},
		// data, training, measuring
		{"tokenize without a tokenizer", func() error {
			_, _, err := data.Tokenize(ctx, nil, []data.Row{{}}, data.TokenizeOptions{MaxTokens: 8})
			return err
		}, "want a tokenizer, got nil"},
		{"a loader of no rows", func() error {
			return second(data.NewLoader(nil, data.LoaderOptions{Rows: 1, Workers: 1}))
		}, "want"},
		{"a loader of zero options", func() error {
			return second(data.NewLoader([]data.Sequence{seq}, data.LoaderOptions{}))
		}, "want"},
		{"a trainer of no model", func() error { return second(train.NewTrainer(nil, cfg)) }, "want a model, got nil"},
		{"a trainer of a zero Config", func() error { return second(train.NewTrainer(m, train.Config{})) }, "--"},
		{"a zero Trainer", func() error {
			return second(new(train.Trainer).Step(data.Batches([]data.Sequence{seq}, 1)))
		}, "want a trainer that NewTrainer has made"},
		{"a run on no device", func() error { return second(train.Run(ctx, nil, cfg, quiet{}, train.Options{})) },
			"want a device, got nil"},
		{"a run without a context", func() error {
			return second(train.Run(noContext, d, cfg, quiet{}, train.Options{}))
		}, "want a context, got nil"},
		{"a run of a zero Config", func() error {
			return second(train.Run(ctx, d, train.Config{}, quiet{}, train.Options{}))
		}, "--model"},
		{"a plan of a zero Config", func() error {
			return second(train.NewPlan(train.Config{}, train.PlanOptions{}))
		}, "--"},
		{"measured without a model", func() error {
			return second(train.Evaluate(ctx, nil, data.Batches([]data.Sequence{seq}, 1)))
		}, "want a model, got nil"},
		{"perplexity without a model", func() error {
			return second(eval.MeasurePerplexity(ctx, nil, tok, "ab", eval.TextOptions{}))
		}, "want a model, got nil"},
		{"perplexity without a tokenizer", func() error {
			return second(eval.MeasurePerplexity(ctx, m, noTok, "ab", eval.TextOptions{}))
		}, "want a tokenizer, got nil"},
		{"a decoder without a tokenizer", do(func() { tokenizer.NewDecoder(nil) }), "want a tokenizer, got nil"},
	} {
		fault, err := said(c.call)
		if fault != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d, %s: error %v, fault %v, want %q", i, c.name, err, fault, c.want)
		}
	}
}
