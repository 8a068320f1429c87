package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
)

// kind is a way of fine-tuning: a line of kinds is all that a new one needs.
type kind struct {
	name  string
	about string
	// adapter says what is put beside the layers; nil: the model itself trains, or from.
	adapter func(m Method) multilora.Config
	from    bool // it begins with the adapters of another row, Method.From
}

var kinds = []kind{
	{name: "full", about: "every parameter of the model"},
	{name: "lora", about: "one module, whose B begins at zero (2106.09685)", adapter: config(multilora.MethodLoRA, "")},
	{name: "rslora", about: "LoRA with alpha / √rank (2312.03732)", adapter: config(multilora.MethodRSLoRA, "")},
	{
		name: "multilora", about: "modules with learnable scalings that begin at zero (2311.11501)",
		adapter: config(multilora.MethodMultiLoRA, ""),
	},
	{
		name: "gain", about: "the control: modules with learnable scalings that begin at one, and B at zero, as LoRA's",
		adapter: config(multilora.MethodMultiLoRA, multilora.StartZeroB),
	},
	{name: merged, about: "one LoRA made of adapters that learned a task each, without training", from: true},
	{name: scales, about: "adapters that learned a task each, of which only the scalings train, on all tasks", from: true},
}

// Methods that begin with the adapters of another row.
const (
	merged = "merged"
	scales = "scales"
)

// Methods lists the names that Method.Method may have, each with what it is.
func Methods() [][2]string {
	var all [][2]string
	for _, k := range kinds {
		all = append(all, [2]string{k.name, k.about})
	}
	return all
}

// Families lists the generated tasks that Base.Generated may name, each with what it is.
func Families() [][2]string {
	var all [][2]string
	for _, f := range synthetic.Families() {
		all = append(all, [2]string{f.Name, f.About})
	}
	return all
}

func config(method multilora.Method, start multilora.Start) func(Method) multilora.Config {
	return func(m Method) multilora.Config {
		c := multilora.Config{
			Method: method, Modules: max(m.Modules, 1), Rank: m.Rank, Alpha: m.Alpha,
			Scaling: multilora.Scaling(m.Scaling), Start: start, Targets: m.Targets,
		}
		if c.Alpha == 0 {
			c.Alpha = float64(m.Rank)
		}
		if c.Scaling == "" {
			c.Scaling = multilora.ScalingScalar
		}
		if len(c.Targets) == 0 {
			c.Targets = []string{multilora.AllLinear}
		}
		return c
	}
}

func (m Method) kind() (kind, error) {
	var names []string
	for _, k := range kinds {
		if k.name == m.Method {
			return k, nil
		}
		names = append(names, k.name)
	}
	return kind{}, fmt.Errorf("method: want %s, got %.40q", strings.Join(names, ", "), m.Method)
}

// check returns an error for the first field that is invalid.
func (m Method) check() error {
	k, err := m.kind()
	if err != nil {
		return err
	}
	if err := m.checkTries(); err != nil {
		return err
	}
	if k.from {
		return m.checkFrom()
	}
	if m.From != "" || m.Merge != "" || m.Density != 0 {
		return bad("method "+m.Method, "no from, merge and density", "them")
	}
	if m.Alone != 0 && (k.adapter == nil || !positive(m.Alone)) {
		return bad("alone", "a positive number, of a method with an adapter", m.Alone)
	}
	for _, f := range []struct {
		name  string
		value float64
		may   bool
	}{
		{"scale-lr", m.ScaleLR, k.adapter != nil && k.adapter(m).Method == multilora.MethodMultiLoRA},
		{"lora-plus", m.BRate, k.adapter != nil},
	} {
		if f.value != 0 && (!f.may || !positive(f.value)) {
			return bad(f.name, "a positive number, of a method that has such parameters", f.value)
		}
	}
	if k.adapter == nil {
		if m.Modules != 0 || m.Rank != 0 || m.Alpha != 0 || m.Scaling != "" || len(m.Targets) > 0 {
			return bad("method full", "no modules, rank, alpha, scaling and targets", "them")
		}
		return nil
	}
	if err := k.adapter(m).Validate(); err != nil {
		return err
	}
	return nil
}

// bits is the method without what does not decide the bits of a run, which has Trial.From in place of
// a name.
func (m Method) bits() Method {
	m.Name, m.From, m.LR, m.Weights, m.Deciding = "", "", nil, nil, false
	return m
}

// tries is what a method is tried at before it is scored.
func (m Method) tries() []float64 {
	if m.Method == merged {
		return m.Weights
	}
	return m.LR
}

// tried names what it is that is tried.
func (m Method) tried() string {
	if m.Method == merged {
		return "weight"
	}
	return "rate"
}

func (m Method) checkTries() error {
	field, none := "lr", m.Weights
	if m.Method == merged {
		field, none = "weights", m.LR
	}
	if len(none) > 0 {
		return bad("method "+m.Method, field+" alone to try", "lr and weights")
	}
	all := m.tries()
	if len(all) == 0 || !slices.IsSorted(all) || twice(all) || !positive(all[0]) || !positive(all[len(all)-1]) {
		return bad(field, "ascending positive numbers", all)
	}
	return nil
}

// totalRank is the rank of an adapter's change of a layer at most; 0: it has no bound, or that of its parts.
func (m Method) totalRank() int {
	if m.Rank == 0 {
		return 0
	}
	return max(m.Modules, 1) * m.Rank
}

// start makes a model ready to train by the method. The adapter is nil where the model itself trains.
func (m Method) start(model *llama.Model, seed uint64) (*multilora.Adapter, *optim.Trainable, error) {
	k, err := m.kind()
	if err != nil {
		return nil, nil, err
	}
	var adapter *multilora.Adapter
	if k.adapter == nil {
		for _, p := range nn.Params(model) {
			p.Frozen = false
		}
	} else {
		if adapter, err = multilora.Attach(model, k.adapter(m), seed); err != nil {
			return nil, nil, err
		}
	}
	trainable, err := optim.Gather(model.Device(), model, m.groups()...)
	return adapter, trainable, err
}

// groups are parameters that have a rate of their own.
func (m Method) groups() (groups []optim.Group) {
	for _, g := range []optim.Group{
		{Match: "*.s", LRFactor: float32(m.ScaleLR)}, {Match: "*.B", LRFactor: float32(m.BRate)},
	} {
		if g.LRFactor != 0 && g.LRFactor != 1 {
			groups = append(groups, g)
		}
	}
	return groups
}
