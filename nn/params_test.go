package nn

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/tensor"
)

type inner struct {
	W *Param `name:"weight"`
	B *Param `name:"bias"`
}

func (i *inner) Forward(x *Var) *Var { return x }

// adapter keeps the names of what it wraps.
type adapter struct {
	Base Layer  `name:""`
	A    *Param `name:"A"`
}

func (a *adapter) Forward(x *Var) *Var { return a.Base.Forward(x) }

type block struct {
	Q     Layer `name:"self_attn.q_proj"`
	Plain inner `name:"plain"`
	Other *Param
}

type model struct {
	Blocks []*block    `name:"model.layers"`
	Two    [2]*Param   `name:"two"`
	Any    interface{} `name:"any"`
	Head   Layer       `name:"head"`
	Act    Layer       `name:"act"`
}

func newInner() *inner { return &inner{W: &Param{}} }

func names[T any](seq func(func(string, T) bool)) []string {
	var out []string
	for name := range seq {
		out = append(out, name)
	}
	return out
}

func TestParamsJoinsNames(t *testing.T) {
	shared := &Param{}
	m := &model{
		Blocks: []*block{{Q: newInner(), Plain: inner{W: shared, B: &Param{}}, Other: &Param{}},
			{Q: &adapter{Base: newInner(), A: &Param{}}}, nil},
		Two:  [2]*Param{{}, nil},
		Any:  newInner(),
		Head: Sequential{newInner(), Dropout{0.5}, Func(func(x *Var) *Var { return x })},
		Act:  Func(func(x *Var) *Var { return x }),
	}
	want := []string{
		"model.layers.0.self_attn.q_proj.weight", "model.layers.0.plain.weight", "model.layers.0.plain.bias",
		"model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj.A",
		"two.0", "any.weight", "head.0.weight",
	}
	if got := names(Params(m)); !slices.Equal(got, want) {
		t.Errorf("names are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if maps.Collect(Params(m))["model.layers.0.plain.weight"] != shared {
		t.Error("Params gave another *Param than the model's own")
	}
	for range Params(m) {
		break // ends the walk without a panic
	}
	for range Layers(m) {
		break
	}
}

func TestParamsRefuses(t *testing.T) {
	for name, m := range map[string]any{
		`"w" is a float32`: &struct {
			W float32 `name:"w"`
		}{},
		`"m" is a map`: &struct {
			M map[string]*Param `name:"m"`
		}{M: map[string]*Param{}},
		"not exported": &struct {
			w *Param `name:"w"`
		}{},
		"is nil": nil,
	} {
		err := tensor.Catch(func() { names(Params(m)) })
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that says %q", err, name)
		}
	}
}

func TestLayersReplacesOnceAround(t *testing.T) {
	m := &model{Blocks: []*block{{Q: newInner()}, {Q: newInner()}}, Head: Sequential{newInner(), newInner()},
		Act: Dropout{}}
	want := []string{"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "head", "head.0", "head.1",
		"act"}
	if got := names(Layers(m)); !slices.Equal(got, want) {
		t.Errorf("slots are %q, want %q", got, want)
	}
	before := slices.Collect(maps.Values(maps.Collect(Params(m))))
	for range 2 { // the second time around the first adapters, whose Base is no slot
		for name, slot := range Layers(m) {
			if strings.HasSuffix(name, "q_proj") {
				*slot = &adapter{Base: *slot, A: &Param{}}
			}
		}
	}
	if got := names(Layers(m)); !slices.Equal(got, want) {
		t.Errorf("slots with adapters in them are %q, want %q", got, want)
	}
	outer, ok := m.Blocks[1].Q.(*adapter)
	if !ok {
		t.Fatalf("the slot holds %T", m.Blocks[1].Q)
	}
	if base, ok := outer.Base.(*adapter); !ok {
		t.Errorf("the outer adapter is around %T", outer.Base)
	} else if _, ok := base.Base.(*inner); !ok {
		t.Errorf("the inner adapter is around %T", base.Base)
	}
	after := maps.Collect(Params(m))
	for _, p := range before {
		if !slices.Contains(slices.Collect(maps.Values(after)), p) {
			t.Error("a parameter is gone from under its adapter")
		}
	}
	err := tensor.Catch(func() { names(Layers(*m.Blocks[0])) })
	if err == nil || !strings.Contains(err.Error(), "pointer") {
		t.Errorf("a model passed by value: error %v, want one that asks for a pointer", err)
	}
}
