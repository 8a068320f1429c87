// Package multilora fine-tunes a frozen model by low-rank modules beside its linear
// layers: MultiLoRA ("MultiLoRA: Democratizing LoRA for Better Multi-Task Learning",
// 2311.11501), LoRA and rsLoRA.
//
// For a layer's weight W [out, in], n modules A_i [r, in] and B_i [out, r] and their
// learnable scalings s_i:
//
//	y = W x + (alpha / r) Σ_i s_i B_i A_i x
//
// Attach puts new modules into a model. Open puts those of a file there: of this project
// (Load), of Hugging Face's PEFT (LoadPEFT) or of llama.cpp (LoadGGUF). Save, SavePEFT and
// SaveGGUF write them, Fold makes one LoRA of them. Merge adds them to the model's weights,
// and Unmerge takes them out again. A Set is several adapters on one model, chosen at run
// time for whole batches or row by row.
package multilora

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// Adapter is the modules of all adapted layers of one model.
type Adapter struct {
	// Base names the model for messages and for whoever finds the saved folder.
	Base string
	// EOSToken ends a text, as the vocabulary spells it, where training was told another than the model's files name; else
	// empty.
	EOSToken string

	config  Config
	targets []string // the shortest names of the layers (see shortest)
	layers  []adapted
	extras  []*extra
	tokens  []*tokenRows
	saves   []string       // the shortest names of the extras' modules (see shortest)
	merged  []*corrections // of each layer, while the adapter is merged (see Unmerge)
	// takeBiases takes biases out of the model that Merge has given layers without; nil: none.
	takeBiases func()

	model   Model        // that the layers are of
	madeFor *Fingerprint // nil: unknown
	match   Match        // of the model with madeFor
	note    string       // about match
}

// adapted is one layer of an adapter and where it stands.
type adapted struct {
	slot
	linear *Linear
}

// Attach freezes a model and puts new modules beside the linear layers that the
// configuration targets. What they begin as depends on the seed and on their names.
// Config.Extra names parameters of the model that train beside them and become a part of
// the adapter; any other one trains as well once its Frozen is false.
func Attach(model Model, cfg Config, seed uint64) (*Adapter, error) {
	tensor.NotNil("multilora.Attach", "a model", model)
	a, slots, err := prepare(model, cfg)
	if err != nil {
		return nil, err
	}
	if err := start(a.extras); err != nil {
		return nil, err
	}
	for _, r := range a.tokens {
		r.start()
	}
	for _, s := range slots {
		w := s.base.Weight.Value
		own := cfg.of(s.name)
		l := newLinear(s.base, own)
		if !w.Device().IsMeta() {
			l.set(initial(s.name, w.Dim(1), w.Dim(0), own, seed))
		}
		a.layers = append(a.layers, adapted{s, l})
	}
	a.match = MatchSame
	if a.madeFor, err = fingerprint(model); err != nil {
		return nil, err
	}
	return a, a.enter(model)
}

// prepare makes an adapter without layers, whose extra parameters have no values yet, and
// gives the slots that its configuration targets.
func prepare(model Model, cfg Config) (a *Adapter, slots []slot, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, nil, err
	}
	all, err := slotsOf(model)
	if err != nil {
		return nil, nil, err
	}
	if slots, err = find(all, otherModules(model, all), cfg.Targets, tiedHead(model) != nil); err != nil {
		return nil, nil, err
	}
	for _, own := range []iter.Seq[string]{maps.Keys(cfg.Ranks), maps.Keys(cfg.Alphas)} {
		for _, name := range slices.Sorted(own) {
			if !slices.ContainsFunc(slots, func(s slot) bool { return s.name == name }) {
				return nil, nil, fmt.Errorf("multilora: fields ranks and alphas: want names of layers that targets "+
					"chooses, got %s",
					quoted(name))
			}
		}
	}
	if err := cfg.fits(slots); err != nil {
		return nil, nil, err
	}
	a = &Adapter{config: cfg, targets: shortest(namesOf(slots), namesOf(all))}
	if a.extras, a.saves, err = findExtra(model, slots, cfg.Extra); err != nil {
		return nil, nil, err
	}
	a.tokens, err = findTokens(model, slots, cfg, a.extras)
	return a, slots, err
}

// enter makes the model the adapter's.
func (a *Adapter) enter(model Model) error {
	a.model = model
	for _, p := range nn.Params(model) {
		p.Frozen = true
	}
	for _, e := range a.extras {
		e.base = *e.param
	}
	m := &mirror{}
	for _, l := range a.layers {
		m.linears, l.linear.mirror = append(m.linears, l.linear), m
	}
	follow(a.layers)
	if err := a.Attach(); err != nil {
		return err
	}
	return a.device().Err()
}

// Config is what the adapter is made of.
func (a *Adapter) Config() Config { return a.config }

// SetDropout changes the probability with which the modules do not see an element of the
// layer's input while training.
func (a *Adapter) SetDropout(p float64) error {
	c := a.config
	c.Dropout = p
	if err := c.Validate(); err != nil {
		return err
	}
	a.config = c
	for _, l := range a.layers {
		l.linear.options.Dropout = float32(p)
	}
	return nil
}

// Layers are the names of the adapted layers, in the model's order.
func (a *Adapter) Layers() []string {
	var names []string
	for _, l := range a.layers {
		names = append(names, l.name)
	}
	return names
}

var errMerged = errors.New("multilora: the adapter is merged already: Unmerge it first")

// Detach puts the model's own layers and parameters back. They stay frozen.
func (a *Adapter) Detach() {
	a.detachLayers()
	if a.merged == nil {
		for _, e := range a.extras {
			e.leave()
		}
	}
	for _, r := range a.tokens {
		r.leave()
	}
}

func (a *Adapter) detachLayers() {
	for _, l := range a.layers {
		if l.has(l.linear) {
			l.clear()
		}
	}
}

// Attach puts a detached adapter into its model again. It is an error if another one is
// there, or if this one is merged: it would count twice.
func (a *Adapter) Attach() error {
	if a.merged != nil {
		return errMerged
	}
	for _, l := range a.layers {
		if other := l.other(l.linear); other != nil {
			return fmt.Errorf("multilora: layer %s holds a %T: Detach it first", l.name, other)
		}
	}
	for _, e := range a.extras {
		if err := e.check(); err != nil {
			return err
		}
	}
	for _, r := range a.tokens {
		if err := r.check(); err != nil {
			return err
		}
	}
	for _, l := range a.layers {
		l.put(l.linear)
	}
	for _, e := range a.extras {
		e.enter(false)
	}
	for _, r := range a.tokens {
		r.enter()
	}
	return nil
}

func (a *Adapter) device() *tensor.Device { return a.layers[0].base.Weight.Value.Device() }

func (a *Adapter) find(layer string) (*Linear, error) {
	for _, l := range a.layers {
		if l.name == layer {
			return l.linear, nil
		}
	}
	return nil, fmt.Errorf("multilora: layer %q: want one of the %d adapted layers, the first of which is %s",
		layer, len(a.layers), a.layers[0].name)
}

// commonEOS is the EOSToken of those of the adapters that have one, or none where they have several.
func commonEOS(adapters []*Adapter) (token string) {
	for _, a := range adapters {
		switch {
		case a.EOSToken == "" || a.EOSToken == token:
		case token != "":
			return ""
		default:
			token = a.EOSToken
		}
	}
	return token
}
