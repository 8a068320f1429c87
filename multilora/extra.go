package multilora

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// extra is a parameter of the model that trains in full beside the modules.
type extra struct {
	name  string
	param *nn.Param
	base  nn.Param // what param is without the adapter
	own   nn.Param // what it is with it; out of date while in
	in    bool     // the model has the adapter's
	whole bool     // all parameters of its module train
	head  bool     // it is the embedding, and the head as well
}

// Extra are the names of the parameters that train beside the modules, in the model's
// order.
func (a *Adapter) Extra() []string {
	var names []string
	for _, e := range a.extras {
		names = append(names, e.name)
	}
	return names
}

// findExtra gives the parameters that patterns choose in a model, in its order, and the
// shortest names of their modules. None may be a weight with modules beside it.
func findExtra(model Model, slots []slot, patterns []string) (found []*extra, modules []string, err error) {
	adapted, seen := map[*nn.Param]string{}, map[*nn.Param]bool{}
	for _, s := range slots {
		adapted[s.base.Weight] = s.name
	}
	var all []string // modules
	left := map[string]bool{}
	matched := make([]bool, len(patterns))
	for name, p := range nn.Params(model) {
		module := moduleOf(name)
		if !slices.Contains(all, module) {
			all = append(all, module)
		}
		hit := false
		for i, pattern := range patterns {
			ok, err := matchesParam(pattern, name)
			switch {
			case err != nil:
				return nil, nil, fmt.Errorf("multilora: field extra: %q: %w", pattern, err)
			case ok && adapted[p] != "":
				return nil, nil, fmt.Errorf(
					"multilora: field extra: %q matches %s, which has modules beside it: want parameters that "+
						"targets does not choose",
					pattern, name)
			}
			matched[i], hit = matched[i] || ok, hit || ok
		}
		switch {
		case !hit:
			left[module] = true
		case !seen[p]:
			seen[p] = true
			found = append(found, &extra{name: name, param: p, head: p == tiedHead(model)})
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		hint := ""
		if tiedHead(model) != nil {
			hint = " (its head is its embedding)"
		}
		return nil, nil, fmt.Errorf("multilora: field extra: %q matches no parameter of the model, which has %s%s",
			patterns[i], lastParts(all), hint)
	}
	for _, e := range found {
		module := moduleOf(e.name)
		e.whole = !left[module]
		if !slices.Contains(modules, module) {
			modules = append(modules, module)
		}
	}
	return found, shortest(modules, all), nil
}

// matchesParam tells whether a pattern of Config.Extra chooses a parameter.
func matchesParam(pattern, name string) (bool, error) {
	if isPattern(pattern) {
		return path.Match(pattern, name)
	}
	return endsIn(name, pattern) || endsIn(moduleOf(name), pattern), nil
}

// moduleOf is the name of the module that a parameter stands in.
func moduleOf(param string) string { return param[:max(strings.LastIndex(param, "."), 0)] }

// start gives a new adapter's parameters copies of the model's values.
func start(extras []*extra) error {
	for _, e := range extras {
		w := e.param.Value
		if w.DType().IsQuantized() {
			return fmt.Errorf(
				"multilora: field extra: parameter %s is %s, and what is quantized cannot train: want it in f32, f16 "+
					"or bf16 (--dtype)", e.name, w)
		}
		e.own.Value = copyOf(e.param.Use())
	}
	return nil
}

// set gives a loaded adapter's parameter its value, in the model's storage type, and f32
// where that is quantized.
func (e *extra) set(values []float32) {
	w, dt := e.param.Value, e.param.Value.DType()
	if dt.IsQuantized() {
		dt = tensor.F32
	}
	e.own.Value = w.Device().FromFloat32s(dt, values, w.Shape()...)
}

func copyOf(x *tensor.Tensor) *tensor.Tensor {
	y := x.Device().Like(x)
	assign(y, x)
	return y
}

// value is the adapter's.
func (e *extra) value() *tensor.Tensor {
	if e.in {
		return e.param.Value
	}
	return e.own.Value
}

// check is an error if the model has another adapter's value.
func (e *extra) check() error {
	if !e.in && e.param.Value != e.base.Value {
		return fmt.Errorf("multilora: parameter %s is another adapter's: Detach it first", e.name)
	}
	return nil
}

// enter lets the model have the adapter's value.
func (e *extra) enter(frozen bool) {
	if !e.in {
		*e.param, e.in = e.own, true
	}
	e.param.Frozen = frozen
}

// leave lets the model have its own again.
func (e *extra) leave() {
	if e.in {
		e.own, *e.param, e.in = *e.param, e.base, false
	}
}

// plain is an error unless the adapter is nothing but modules beside layers.
func (a *Adapter) plain(where string) error {
	also := ""
	switch {
	case len(a.extras) > 0:
		also = "trains " + a.extras[0].name + " as well (field extra)"
	case len(a.tokens) > 0:
		also = "trains rows of " + a.tokens[0].name + " as well (field tokens)"
	case a.config.Bias:
		also = "has biases of B (field bias)"
	case a.config.Method == MethodDoRA:
		also = "scales the weights' rows (method dora)"
	default:
		return nil
	}
	return fmt.Errorf("multilora: %s: want an adapter that has nothing but modules beside layers, got one that %s: "+
		"Merge it", where, also)
}
