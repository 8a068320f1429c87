package multilora

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Set is several adapters of one model, of which one works at a time, or each row of a
// batch has its own. Their weights stand beside each other; the base is there once.
//
//	set := multilora.NewSet(m)
//	err := set.Load("french", "adapters/french")
//	err = set.Load("code", "adapters/code")
//	err = set.Use("french")                  // for all rows
//	err = set.UseRows("code", "french", "")  // row by row; "" is the base alone
type Set struct {
	model    Model
	adapters map[string]*Adapter
	mixed    []slot // those that UseRows has filled
}

// NewSet is a set without adapters. The model's slots must hold its own layers.
func NewSet(model Model) *Set {
	tensor.NotNil("multilora.NewSet", "a model", model)
	return &Set{model: model, adapters: map[string]*Adapter{}}
}

// Load adds the adapter at path, in any of the forms and with the options that Open knows.
// None is in use afterwards.
func (s *Set) Load(name, path string, o Options) error {
	s.Detach()
	a, err := Open(s.model, path, o)
	if err != nil {
		return err
	}
	return s.Add(name, a)
}

// Add adds an adapter of the same model. None is in use afterwards.
func (s *Set) Add(name string, a *Adapter) error {
	tensor.NotNil("multilora.Set", "an adapter", a)
	if _, taken := s.adapters[name]; taken || name == "" {
		return fmt.Errorf("multilora: adding an adapter as %s: want a name that is not empty and not taken",
			quoted(name))
	}
	slots := map[any]bool{}
	for _, slot := range anySlots(s.model) {
		slots[slot.place()] = true
	}
	for _, l := range a.layers {
		if !slots[l.place()] {
			return fmt.Errorf("multilora: adding adapter %s: its layer %s belongs to another model", quoted(name),
				l.name)
		}
	}
	s.Detach()
	a.Detach()
	s.adapters[name] = a
	return nil
}

// Remove takes an adapter out of the set. None is in use afterwards.
func (s *Set) Remove(name string) {
	s.Detach()
	delete(s.adapters, name)
}

// Names are the adapters' names, sorted.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.adapters)) }

// Adapter is the adapter of that name, nil if there is none.
func (s *Set) Adapter(name string) *Adapter { return s.adapters[name] }

// Detach puts the model's own layers back: no adapter is in use.
func (s *Set) Detach() {
	for _, slot := range s.mixed {
		if _, ok := (*slot.layer).(*rowsLinear); ok {
			*slot.layer = slot.base
		}
	}
	s.mixed = nil
	for _, a := range s.adapters {
		a.Detach()
	}
}

// Use lets one adapter work on every row; "" is the base alone.
func (s *Set) Use(name string) error {
	if err := s.check(name); err != nil {
		return err
	}
	s.Detach()
	if name == "" {
		return nil
	}
	return s.adapters[name].Attach()
}

// UseRows gives every row of the batches to come its adapter by name; "" is the base
// alone. Adapters with extra parameters (Config.Extra), of which all rows would have the
// same, or with modules beside the embedding or the head are an error: Use them. Each batch must have as many rows. Equal names side by side are computed
// together, so sort the rows by adapter where that is possible.
//
// While a tape records, each adapter gets the gradients of its rows: parameters are named
// LAYER.adapters.I.A, I counting the names in use as Names sorts them.
func (s *Set) UseRows(names ...string) error {
	if len(names) == 0 {
		return fmt.Errorf("multilora: adapters for no rows: want a name for each row of a batch")
	}
	if err := s.check(names...); err != nil {
		return err
	}
	for _, name := range names {
		if a := s.adapters[name]; a != nil {
			where := "rows with adapters of their own: adapter " + quoted(name)
			if err := a.plain(where); err != nil {
				return err
			}
			if err := a.layersAlone(where); err != nil {
				return err
			}
		}
	}
	s.Detach()
	used := slices.DeleteFunc(s.Names(), func(name string) bool { return !slices.Contains(names, name) })
	beside := map[*nn.Layer]*rowsLinear{}
	for _, name := range used {
		for _, l := range s.adapters[name].layers {
			mixed := beside[l.layer]
			if mixed == nil {
				mixed = &rowsLinear{Base: l.base, rows: len(names)}
				beside[l.layer] = mixed
				s.mixed = append(s.mixed, l.slot)
			}
			own := &modules{l.linear.A, l.linear.B, l.linear.S, l.linear, runs(names, name)}
			mixed.Adapters = append(mixed.Adapters, own)
		}
	}
	for _, slot := range s.mixed {
		if other := slot.other(nil); other != nil {
			err := fmt.Errorf("multilora: layer %s holds a %T: Detach it first", slot.name, other)
			s.mixed = nil
			return err
		}
	}
	for _, slot := range s.mixed {
		*slot.layer = beside[slot.layer]
	}
	return nil
}

func (s *Set) check(names ...string) error {
	for _, name := range names {
		a, ok := s.adapters[name]
		switch {
		case ok && a.merged != nil:
			return fmt.Errorf("adapter %s: %w", quoted(name), errMerged)
		case !ok && name != "":
			return fmt.Errorf("multilora: adapter %s: want one of %q, or \"\" for the base", quoted(name), s.Names())
		}
	}
	return nil
}

// runs are the half-open ranges of rows that have this name.
func runs(names []string, name string) [][2]int {
	var found [][2]int
	for i, n := range names {
		switch last := len(found) - 1; {
		case n != name:
		case last >= 0 && found[last][1] == i:
			found[last][1]++
		default:
			found = append(found, [2]int{i, i + 1})
		}
	}
	return found
}

// rowsLinear is a linear layer with modules of several adapters, each for rows of its own.
type rowsLinear struct {
	Base     *nn.Linear `name:""`
	Adapters []*modules `name:"adapters"`

	rows int // of every batch
}

// modules is an adapter's part of a layer and the rows it is for.
type modules struct {
	A *nn.Param `name:"A"`
	B *nn.Param `name:"B"`
	S *nn.Param `name:"s"`

	linear *Linear
	runs   [][2]int
}

// Forward maps [rows, …, in] to [rows, …, out].
func (l *rowsLinear) Forward(x *nn.Var) *nn.Var {
	if x.Dim(0) != l.rows {
		tensor.Panicf("multilora", "a batch of %d rows, %s: UseRows named adapters for %d", x.Dim(0), x, l.rows)
	}
	var parts []ops.LoRARows
	for _, m := range l.Adapters {
		options := m.linear.beside(x)
		for _, run := range m.runs {
			parts = append(parts, ops.LoRARows{
				From: run[0], To: run[1], A: m.A.Var(), B: m.B.Var(), S: variable(m.S), MultiLoRA: options,
			})
		}
	}
	slices.SortFunc(parts, func(a, b ops.LoRARows) int { return a.From - b.From })
	return ops.MultiLoRARows(x, l.Base.Weight.Var(), variable(l.Base.Bias), parts...)
}
