package multilora

import (
	"fmt"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
)

// slot is a place of a model where modules can stand: that of a linear layer, or beside the embedding or the head
// of a language model.
type slot struct {
	name string
	// base is the linear layer; for the embedding, its weight [vocab, hidden] as a head would have it.
	base   *nn.Linear
	layer  *nn.Layer  // where the linear layer stands; nil beside the embedding and the head
	beside *nn.Beside // where the change of their weight stands
}

// The modules of a language model that are no slots of nn.Layers.
const (
	embeddingModule = "model.embed_tokens"
	headModule      = "lm_head"
)

// slotsOf gives the slots of a model, in its order. It is an error if any has an adapter.
func slotsOf(model Model) ([]slot, error) {
	all := anySlots(model)
	for _, s := range all {
		if other := s.other(nil); other != nil {
			return nil, fmt.Errorf("multilora: layer %s has an adapter already: Detach it first", s.name)
		}
	}
	return all, nil
}

// anySlots gives the slots of a model, in its order, whatever stands in them. base is nil where another layer does.
func anySlots(model Model) (all []slot) {
	m, language := model.(*llama.Model)
	if language {
		all = append(all, slot{name: embeddingModule, base: &nn.Linear{Weight: m.Embedding.Weight},
			beside: &m.BesideEmbedding})
	}
	for name, layer := range nn.Layers(model) {
		switch l := (*layer).(type) {
		case *nn.Linear:
			all = append(all, slot{name: name, base: l, layer: layer})
		case *Linear, *rowsLinear:
			all = append(all, slot{name: name, layer: layer})
		}
	}
	if language && m.Head != nil {
		all = append(all, slot{name: headModule, base: m.Head, beside: &m.BesideHead})
	}
	return all
}

// place tells slots apart.
func (s slot) place() any {
	if s.layer != nil {
		return s.layer
	}
	return s.beside
}

// other is what stands in a slot that is neither the model's own nor l; nil: nothing.
func (s slot) other(l *Linear) any {
	switch {
	case s.layer != nil && (s.base == nil || *s.layer != nn.Layer(s.base)) && *s.layer != nn.Layer(l):
		return *s.layer
	case s.beside != nil && *s.beside != nil && !s.has(l):
		return *s.beside
	}
	return nil
}

// has reports whether the modules stand in the slot.
func (s slot) has(l *Linear) bool {
	if s.layer != nil {
		return *s.layer == nn.Layer(l)
	}
	b, ok := (*s.beside).(*besideWeight)
	return ok && b.modules == l
}

// put lets the modules stand in the slot.
func (s slot) put(l *Linear) {
	l.gain.known = false // the weight may have changed
	if s.layer != nil {
		*s.layer = l
		return
	}
	*s.beside = &besideWeight{l.A, l.B, l.S, l}
}

// clear leaves the model's own in the slot.
func (s slot) clear() {
	if s.layer != nil {
		*s.layer = s.base
		return
	}
	*s.beside = nil
}

// besideWeight is the modules of an embedding or a head.
type besideWeight struct {
	A *nn.Param `name:"A"`
	B *nn.Param `name:"B"`
	S *nn.Param `name:"s"`

	modules *Linear
}

// Factors implements nn.Beside.
func (b *besideWeight) Factors() (up, down *nn.Var) {
	return ops.ScaledLoRA(b.B.Var(), variable(b.S), b.modules.options), b.A.Var()
}

// Drop implements nn.Beside. Looking ids up drops nothing, as in PEFT.
func (b *besideWeight) Drop(x *nn.Var) *nn.Var { return ops.Dropout(x, b.modules.options.Dropout) }

// layersAlone is an error if modules stand beside the embedding or the head.
func (a *Adapter) layersAlone(where string) error {
	for _, l := range a.layers {
		if l.beside != nil {
			return fmt.Errorf("multilora: %s: want an adapter of the layers in a model's blocks, got one of %s as well",
				where, l.name)
		}
	}
	return nil
}

// fits is an error if the configuration has what cannot stand in a slot.
func (c Config) fits(slots []slot) error {
	for _, s := range slots {
		switch {
		case s.beside != nil && c.Bias:
			return fmt.Errorf("multilora: field bias: want false beside %s, got true", s.name)
		case s.beside != nil && c.Method == MethodDoRA:
			return fmt.Errorf("multilora: field method: want multilora, lora or rslora beside %s, got %s", s.name, c.Method)
		}
	}
	return nil
}
