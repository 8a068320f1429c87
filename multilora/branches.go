package multilora

import (
	"errors"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// AttachBranches puts several trained adapters beside a model as the modules of one MultiLoRA, to
// learn how loud each is to speak (see TrainScalings). Module i is adapter i, its own scale and
// scalings put into B; where its rank is smaller than the largest, or it does not adapt a layer,
// it has zeros. Every s begins at 1/n, so that the result begins as the mean of the adapters.
// Adapters with parameters of the model beside their modules are refused: those cannot be mixed.
func AttachBranches(model Model, paths []string, scaling Scaling, o Options) (*Adapter, error) {
	tensor.NotNil("multilora.AttachBranches", "a model", model)
	if len(paths) == 0 {
		return nil, errors.New("multilora: branches: want at least one adapter, got none")
	}
	var branches []*Adapter
	layers := map[string]int{} // the largest rank of each
	rank := 0
	for _, path := range paths {
		a, err := Open(model, path, o)
		if err != nil {
			return nil, err
		}
		a.Detach()
		if len(a.extras) > 0 {
			return nil, fmt.Errorf(
				"multilora: branches: %s: want low-rank modules alone, got parameters of the model beside them: %v",
				path, a.saves)
		}
		if err := a.plain("branches: " + path); err != nil {
			return nil, err
		}
		branches = append(branches, a)
		for _, l := range a.layers {
			r := a.config.of(l.name).TotalRank()
			layers[l.name] = max(layers[l.name], r)
			rank = max(rank, r)
		}
	}
	all, err := slotsOf(model)
	if err != nil {
		return nil, err
	}
	slots := slices.DeleteFunc(slices.Clone(all), func(s slot) bool { return layers[s.name] == 0 })
	cfg := Config{
		Method: MethodMultiLoRA, Modules: len(paths), Rank: rank, Alpha: float64(rank), Scaling: scaling,
		Targets: shortest(namesOf(slots), namesOf(all)),
	}
	for name, r := range layers {
		cfg.set(name, r, float64(r))
	}
	joined, found, err := prepare(model, cfg)
	if err != nil {
		return nil, err
	}
	for _, s := range found {
		own := cfg.of(s.name)
		out, in := s.base.Weight.Value.Dim(0), s.base.Weight.Value.Dim(1)
		ms := make([]module, len(branches))
		for i, b := range branches {
			ms[i] = module{a: make([]float32, own.Rank*in), b: make([]float32, out*own.Rank),
				s: make([]float32, own.scalings(out))}
			for k := range ms[i].s {
				ms[i].s[k] = 1 / float32(len(branches))
			}
			if err := b.copyInto(s.name, &ms[i], own.Rank); err != nil {
				return nil, err
			}
		}
		l := newLinear(s.base, own)
		l.set(ms)
		joined.layers = append(joined.layers, adapted{s, l})
	}
	first := branches[0]
	joined.Base, joined.EOSToken, joined.madeFor = first.Base, commonEOS(branches), first.madeFor
	joined.match, joined.note = first.match, first.note
	return joined, joined.enter(model)
}

// copyInto copies a layer's modules into one of a larger rank, with their scale; a layer that
// the adapter does not adapt leaves m as it is.
func (a *Adapter) copyInto(layer string, m *module, rank int) error {
	l, err := a.find(layer)
	if err != nil {
		return nil
	}
	down, err := l.A.Value.Float32s()
	if err != nil {
		return err
	}
	scaled := l.scaledB()
	up, err := scaled.Float32s()
	scaled.Free("copied to the host")
	if err != nil {
		return err
	}
	copy(m.a, down)
	own := l.A.Value.Dim(0)
	for o := range l.B.Value.Dim(0) {
		copy(m.b[o*rank:], up[o*own:(o+1)*own])
	}
	return nil
}

// TrainScalings leaves the scalings s of MultiLoRA alone to train: the modules stay what they are.
func (a *Adapter) TrainScalings() error {
	if !a.config.learnsScaling() {
		return fmt.Errorf("multilora: want an adapter with scalings to train them alone (method %s), got method %s",
			MethodMultiLoRA, a.config.Method)
	}
	for _, l := range a.layers {
		l.linear.A.Frozen, l.linear.B.Frozen = true, true
	}
	for _, e := range a.extras {
		e.own.Frozen = true
	}
	for _, r := range a.tokens {
		r.Rows.Frozen = true
	}
	return nil
}
