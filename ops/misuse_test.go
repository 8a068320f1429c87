package ops

import (
	"reflect"
	"runtime"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// inputOf makes an input of an example as a tensor; nil where it is not given.
func inputOf(d *tensor.Device, in autograd.Input) *tensor.Tensor {
	if in.Shape == nil {
		return nil
	}
	r := random.NewStream(1, random.Test, 1, 0)
	value := in.Value
	if value == nil {
		value = func(int, *random.Stream) float64 { return r.Normal() }
	}
	n := tensor.Numel(in.Shape)
	if in.Kind == autograd.Index {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(value(i, r))
		}
		return d.FromInt32s(ids, in.Shape...)
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(value(i, r))
	}
	return d.FromFloat32s(tensor.F32, values, in.Shape...)
}

// caught is the panic of a call, and whether it is a fault of the runtime: a nil pointer, an index.
func caught(call func()) (value any, fault bool) {
	defer func() {
		value = recover()
		_, fault = value.(runtime.Error)
	}()
	call()
	return nil, false
}

// Every operation, called through its function with one input that is nil, a zero Var, another
// tape's, of a tape that has closed, freed, or on another device, says so by a *tensor.Error.
func TestMisuseOfEveryOperation(t *testing.T) {
	calls, refused := 0, 0
	for _, op := range All() {
		name := reflect.Indirect(reflect.ValueOf(op)).Type().Name()
		for e, example := range op.Examples() {
			if example.Large || example.Brief || e > 3 {
				continue
			}
			for position, in := range example.In {
				if in.Shape == nil {
					continue
				}
				for kind, bad := range map[string]func(d *tensor.Device) (*autograd.Var, func()){
					"nil":      func(*tensor.Device) (*autograd.Var, func()) { return nil, nil },
					"zero Var": func(*tensor.Device) (*autograd.Var, func()) { return &autograd.Var{}, nil },
					"another tape's": func(d *tensor.Device) (*autograd.Var, func()) {
						other := autograd.NewTape(d)
						return other.Leaf(inputOf(d, in)), nil // and the example's tape inside
					},
					"a closed tape's": func(d *tensor.Device) (*autograd.Var, func()) {
						other := autograd.NewTape(d)
						defer other.Close()
						return other.Leaf(inputOf(d, in)), nil
					},
					"freed": func(d *tensor.Device) (*autograd.Var, func()) {
						x := inputOf(d, in)
						x.Free("the test has freed it")
						return autograd.Const(x), nil
					},
					"another device's": func(d *tensor.Device) (*autograd.Var, func()) {
						other := testdevice.CPU(t, 1)
						return autograd.Const(inputOf(other, in)), func() { other.Close() }
					},
				} {
					d := testdevice.CPU(t, 1)
					broken, after := bad(d)
					tape := autograd.NewTape(d)
					vars := make([]*autograd.Var, len(example.In))
					for i, other := range example.In {
						switch x := inputOf(d, other); {
						case i == position:
							vars[i] = broken
						case x == nil:
						case other.NoGrad || other.Kind == autograd.Index:
							vars[i] = autograd.Const(x)
						default:
							vars[i] = tape.Leaf(x)
						}
					}
					value, fault := caught(func() { example.Call(vars) })
					calls++
					err, isError := value.(*tensor.Error)
					given := 0
					for _, x := range vars {
						if x != nil {
							given++
						}
					}
					fine := value == nil && (kind == "nil" || // it is optional
						kind == "another device's" && given == 1 || // there the operation runs
						kind == "another tape's" && (in.NoGrad || name == "compare")) // only the value is looked at
					if fault || !isError && !fine {
						t.Errorf("%s, %s, input %d %s: got %v, want a *tensor.Error", name, example.Name, position,
							kind, value)
					}
					if isError && err.Error() != "" {
						refused++
					}
					d.Close()
					if after != nil {
						after()
					}
				}
			}
		}
	}
	t.Logf("%d calls, %d refused", calls, refused)
}
