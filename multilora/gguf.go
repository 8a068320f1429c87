package multilora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// An adapter in a GGUF file is LoRA as llama.cpp loads it: for a weight NAME of the base
// (see llama.GGUFLayout) NAME.lora_a [r, in] and NAME.lora_b [out, r]. Of the embedding [vocab, hidden], whose
// rows of lora_a are looked up, they are [vocab, r] and [hidden, r]. Those of all experts of a mixture are one tensor,
// [experts, r, in] and [experts, out, r]. One alpha holds for all,
// the rank is each lora_b's own: llama.cpp multiplies by alpha / rank.
const (
	architectureKey = "general.architecture"
	generalTypeKey  = "general.type"
	adapterTypeKey  = "adapter.type"
	loraAlphaKey    = "adapter.lora.alpha"
)

// SaveGGUF writes the adapter of a model with this configuration as a GGUF file of type
// adapter, in f32. LoRA and rsLoRA are written as they are, MultiLoRA as one LoRA (see
// Fold): it computes the same there but cannot train on in this form. An adapter with
// extra parameters, biases of B or DoRA's magnitudes is an error: the file has no place for them.
func (a *Adapter) SaveGGUF(path string, c llama.Config) error {
	layout, err := c.GGUFLayout()
	if err != nil {
		return fmt.Errorf("multilora: saving %s: %w", path, err)
	}
	if err := a.plain("saving " + path); err != nil {
		return err
	}
	scope := a.device().Scope()
	defer scope.Close()
	alpha, common := a.commonAlpha()
	if !common {
		f, err := a.Fold()
		if err != nil {
			return err
		}
		a, alpha = f, float64(f.config.Rank)
	}
	w := ggufWriter{path: path, layout: layout, common: common, alpha: alpha, config: c}
	for _, l := range a.layers {
		if err := w.add(a, l); err != nil {
			return err
		}
	}
	sources, err := w.sources()
	if err != nil {
		return fmt.Errorf("multilora: saving %s: %w", path, err)
	}
	return gguf.Write(path, []gguf.KeyValue{
		{Key: generalTypeKey, Value: "adapter"},
		{Key: architectureKey, Value: layout.Architecture},
		{Key: adapterTypeKey, Value: "lora"},
		{Key: loraAlphaKey, Value: float32(alpha)},
	}, sources...)
}

// commonAlpha is the alpha that gives every layer its scale when divided by its rank;
// false if there is none.
func (a *Adapter) commonAlpha() (alpha float64, ok bool) {
	for i, l := range a.layers {
		c := a.config.of(l.name)
		own := c.Alpha
		if c.Method == MethodRSLoRA {
			own = c.Scale() * float64(c.Rank)
		}
		if c.learnsScaling() || i > 0 && float32(own) != float32(alpha) {
			return 0, false
		}
		alpha = own
	}
	return alpha, true
}

// LoadGGUF attaches the LoRA of a GGUF file to a model and freezes the model. After an
// error the model is as it was.
func LoadGGUF(m *llama.Model, path string, o Options) (_ *Adapter, err error) {
	tensor.NotNil("multilora.LoadGGUF", "a model", m)
	all, err := slotsOf(m)
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	layout, err := m.Config.GGUFLayout()
	if err != nil {
		return nil, fmt.Errorf("multilora: loading %s: %w", path, err)
	}
	alpha, err := ggufAlpha(f, layout.Architecture)
	if err != nil {
		return nil, err
	}
	layers, err := ggufLayers(f, layout, all, m.Config)
	if err != nil {
		return nil, err
	}
	cfg := Config{Method: MethodLoRA, Modules: 1, Scaling: ScalingScalar}
	var chosen []slot
	for _, s := range all {
		l, ok := layers[s.name]
		if !ok {
			continue
		}
		rank, own := l.rank, alpha
		if own == 0 {
			own = float64(rank)
		}
		if chosen == nil {
			cfg.Rank, cfg.Alpha = rank, own
		}
		cfg.set(s.name, rank, own)
		chosen = append(chosen, s)
	}
	cfg.Targets = shortest(namesOf(chosen), namesOf(all))
	base, _ := gguf.Get[string](f, "general.base_model.0.name") // as llama.cpp's converter calls it; free text
	a := &Adapter{Base: base, config: cfg}
	return a.assemble(m, path, o, chosen, func(s slot) (mod module, err error) {
		l := layers[s.name]
		if mod.a, err = l.a.Float32s(); err != nil {
			return mod, err
		}
		if mod.b, err = l.b.Float32s(); err != nil {
			return mod, err
		}
		if s.name == embeddingModule {
			return module{a: transposed(mod.b, l.b.Shape[0], l.rank), b: mod.a}, nil
		}
		if heads := layout.Heads(s.name + ".weight"); heads > 0 {
			mod.b, err = llama.Deinterleave(mod.b, l.b.Shape[0], heads)
		}
		return mod, err
	})
}

// ggufAlpha checks the keys of an adapter for a model of this architecture and returns its alpha,
// 0 for the rank of each layer.
func ggufAlpha(f *gguf.File, architecture string) (alpha float64, err error) {
	for _, k := range []struct{ key, want string }{
		{generalTypeKey, "adapter"}, {adapterTypeKey, "lora"}, {architectureKey, architecture},
	} {
		switch got, err := gguf.Get[string](f, k.key); {
		case err != nil:
			return 0, err
		case got != k.want:
			return 0, &gguf.Error{File: f.Path(), Key: k.key, Want: fmt.Sprintf("%q", k.want), Got: quoted(got)}
		}
	}
	for _, kv := range f.Metadata() {
		switch {
		case kv.Key == loraAlphaKey:
			if alpha, err = f.Float(kv.Key); err == nil && (alpha < 0 || math.IsNaN(alpha) || math.IsInf(alpha, 0)) {
				err = &gguf.Error{File: f.Path(), Key: kv.Key, Want: "a number of at least 0", Got: fmt.Sprint(alpha)}
			}
			if err != nil {
				return 0, err
			}
		case strings.HasPrefix(kv.Key, "adapter.") && kv.Key != adapterTypeKey:
			return 0, &gguf.Error{File: f.Path(), Key: kv.Key,
				Want: "no such key, which might change what the adapter computes",
				Got:  "one"}
		}
	}
	return alpha, nil
}

// ggufLayer is the two tensors of a weight.
type ggufLayer struct {
	a, b gguf.Tensor
	rank int
}

// ggufLayers finds the tensors of each layer and checks them against the model; there
// must be no others.
func ggufLayers(f *gguf.File, layout llama.GGUFLayout, all []slot, c llama.Config) (map[string]ggufLayer, error) {
	layers, used := map[string]ggufLayer{}, map[string]bool{}
	for _, s := range all {
		name, expert, stacked := layout.Stack(s.name + ".weight")
		if !stacked {
			name, _ = layout.Name(s.name + ".weight")
		}
		if name == "" || !f.Has(name+".lora_a") && !f.Has(name+".lora_b") {
			continue
		}
		if s.name == embeddingModule && c.Tied {
			return nil, &gguf.Error{File: f.Path(), Tensor: name + ".lora_a",
				Want: "none beside the embedding of a model whose head it is: llama.cpp would not add it to the head",
				Got:  "one"}
		}
		var l ggufLayer
		var err error
		if l.a, err = f.Tensor(name + ".lora_a"); err != nil {
			return nil, err
		}
		if l.b, err = f.Tensor(name + ".lora_b"); err != nil {
			return nil, err
		}
		if stacked {
			if err := l.cut(f.Path(), expert, c.Mixture.Experts); err != nil {
				return nil, err
			}
		}
		if err := l.check(f.Path(), s); err != nil {
			return nil, err
		}
		layers[s.name], used[name] = l, true
	}
	for _, t := range f.Tensors() {
		stem, ok := strings.CutSuffix(t.Name, ".lora_a")
		if !ok {
			stem, ok = strings.CutSuffix(t.Name, ".lora_b")
		}
		if !ok || !used[stem] {
			return nil, &gguf.Error{File: f.Path(), Tensor: t.Name, Want: "lora_a or lora_b of a layer of this model",
				Got: "another"}
		}
	}
	if len(layers) == 0 {
		return nil, &gguf.Error{File: f.Path(), Want: "the tensors of at least one layer", Got: "none"}
	}
	return layers, nil
}

// check finds the rank and compares the shapes with those of the weight.
func (l *ggufLayer) check(path string, s slot) error {
	w := s.base.Weight.Value
	rankAt, a, b := 0, w.Dim(1), w.Dim(0) // of lora_a its rank, and the other dimensions
	form := fmt.Sprintf("[rank %d]", a)
	if s.name == embeddingModule {
		rankAt, a, b = 1, b, a
		form = fmt.Sprintf("[%d rank]", a)
	}
	if len(l.a.Shape) != 2 || l.a.Shape[rankAt] < 1 || l.a.Shape[rankAt] > maxRank || l.a.Shape[1-rankAt] != a {
		return &gguf.Error{File: path, Tensor: l.a.Name,
			Want: fmt.Sprintf("shape %s beside this model's weight %s", form, w), Got: fmt.Sprint(l.a.Shape)}
	}
	l.rank = l.a.Shape[rankAt]
	if want := []int{b, l.rank}; !slices.Equal(l.b.Shape, want) {
		return &gguf.Error{File: path, Tensor: l.b.Name,
			Want: fmt.Sprintf("shape %v beside this model's weight %s", want, w), Got: fmt.Sprint(l.b.Shape)}
	}
	return nil
}

// cut leaves of the tensors of all experts those of one.
func (l *ggufLayer) cut(path string, expert, experts int) error {
	for _, t := range []*gguf.Tensor{&l.a, &l.b} {
		if len(t.Shape) != 3 || t.Shape[0] != experts || len(t.Data)%experts != 0 {
			return &gguf.Error{File: path, Tensor: t.Name, Want: fmt.Sprintf("matrices of %d experts", experts),
				Got: fmt.Sprint("shape ", t.Shape)}
		}
		size := len(t.Data) / experts
		t.Shape, t.Data = t.Shape[1:], t.Data[expert*size:(expert+1)*size]
	}
	return nil
}
