package multilora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// The files of an adapter's folder in the form of PEFT, Hugging Face's library.
const (
	// PEFTTensorFile has base_model.model.LAYER.lora_A.weight [r, in], …lora_B.weight
	// [out, r], and base_model.model.NAME for the parameters of modules_to_save.
	PEFTTensorFile = "adapter_model.safetensors"
	PEFTConfigFile = "adapter_config.json"
)

// LoadPEFT attaches a LoRA or rsLoRA that PEFT has written to a model and freezes the
// model. Layers may have ranks and alphas of their own, and modules_to_save becomes
// Config.Extra. What PEFT can do beyond that (DoRA, trained biases of adapted layers, …)
// is an error that names the field. After an error the model is as it was.
func LoadPEFT(model Model, dir string, o Options) (*Adapter, error) {
	tensor.NotNil("multilora.LoadPEFT", "a model", model)
	path := filepath.Join(dir, PEFTConfigFile)
	text, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	c, err := parsePEFTConfig(text)
	if err != nil {
		return nil, fmt.Errorf("multilora: %s: %w", path, err)
	}
	all, err := linears(model)
	if err != nil {
		return nil, err
	}
	c.refuseModules(otherModules(model, all))
	if err := c.err(); err != nil {
		return nil, fmt.Errorf("multilora: %s: %w", path, err)
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(s slot) bool { return !c.adapts(s.name) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf(
			"multilora: %s: field target_modules: want linear layers of the model, which has %s, got none of them",
			path, lastParts(namesOf(all)))
	}
	cfg := Config{
		Method: MethodLoRA, Modules: 1, Rank: c.rank, Alpha: c.alpha, Scaling: ScalingScalar,
		Targets: shortest(namesOf(chosen), namesOf(all)), Dropout: c.dropout, Extra: c.extra(model),
	}
	if c.rsLoRA {
		cfg.Method = MethodRSLoRA
	}
	for _, s := range chosen {
		rank, alpha := c.of(s.name)
		cfg.set(s.name, rank, alpha)
	}
	extras, _, err := findExtra(model, chosen, cfg.Extra)
	if err != nil {
		return nil, fmt.Errorf("%w (%s: field modules_to_save)", err, path)
	}
	f, err := openPEFT(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.check(chosen, extras, cfg, c.tied); err != nil {
		return nil, fmt.Errorf("%w (the adapter was made for %s)", err, quoted(c.base))
	}
	for _, e := range extras {
		values, err := f.names[peftPrefix+e.name].Float32s()
		if err != nil {
			return nil, err
		}
		e.set(values)
	}
	a := &Adapter{Base: c.base, config: cfg, extras: extras}
	return a.assemble(model, dir, o, chosen, func(s slot) (m module, err error) {
		if m.a, err = f.names[peftName(s.name, "A")].Float32s(); err != nil {
			return m, err
		}
		m.b, err = f.names[peftName(s.name, "B")].Float32s()
		return m, err
	})
}

// assemble makes a LoRA of modules that are read one by one and attaches it.
func (a *Adapter) assemble(
	model Model, path string, o Options, slots []slot, read func(slot) (module, error),
) (*Adapter, error) {
	cfg := a.config
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a.targets, a.saves = cfg.Targets, cfg.Extra
	for _, s := range slots {
		m, err := read(s)
		if err != nil {
			return nil, err
		}
		l := newLinear(s.base, cfg.of(s.name))
		l.set([]module{m})
		a.layers = append(a.layers, adapted{s, l})
	}
	if err := a.checkBase(model, path, o); err != nil {
		return nil, err
	}
	return a, a.enter(model)
}

// peftName is a tensor's name: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight".
func peftName(layer, part string) string {
	return peftPrefix + layer + ".lora_" + part + ".weight"
}

// peftPrefix stands before the names of the model's modules.
const peftPrefix = "base_model.model."

// headModule and headParam are what PEFT calls a head, which it takes for another module
// than the embedding even where their weight is the same.
const (
	headModule = "lm_head"
	headParam  = headModule + ".weight"
)

// extra are the shortest names of a model's modules that modules_to_save means.
func (c *peftConfig) extra(model Model) []string {
	var chosen, all []string
	for name := range nn.Params(model) {
		module := moduleOf(name)
		if slices.Contains(all, module) {
			continue
		}
		all = append(all, module)
		if c.replaces(module) {
			chosen = append(chosen, module)
		}
	}
	return shortest(chosen, all)
}

// peftFile is the tensors by their names on disk: in memory PEFT has the adapter's name,
// "default", before ".weight", and some programs save that.
type peftFile struct {
	*safetensors.File
	names map[string]safetensors.Tensor
}

func openPEFT(dir string) (*peftFile, error) {
	path := filepath.Join(dir, PEFTTensorFile)
	if !regular.Exists(path) {
		if _, err := os.Stat(filepath.Join(dir, "adapter_model.bin")); err == nil {
			return nil, fmt.Errorf("multilora: %s: want %s, got adapter_model.bin: save it with safe_serialization",
				dir, PEFTTensorFile)
		}
	}
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	f := &peftFile{file, map[string]safetensors.Tensor{}}
	for _, name := range file.Names() {
		t, err := file.Tensor(name)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		plain := name
		if stem, ok := strings.CutSuffix(name, ".default.weight"); ok {
			plain = stem + ".weight"
		}
		if other, twice := f.names[plain]; twice {
			return nil, errors.Join(fmt.Errorf("multilora: %s: tensor %s: want it once, got %s too",
				path, quoted(name), quoted(other.Name)), file.Close())
		}
		f.names[plain] = t
	}
	return f, nil
}

// check compares the tensors with what the configuration and the model want, before
// anything of that size is made.
func (f *peftFile) check(slots []slot, extras []*extra, cfg Config, tied bool) error {
	known := map[string]bool{}
	check := func(name string, shape []int, w *tensor.Tensor) error {
		t, ok := f.names[name]
		if !ok {
			return fmt.Errorf("multilora: %s: tensor %q: want shape %v, got no such tensor", f.Path(), name, shape)
		}
		if !slices.Equal(t.Shape, shape) {
			return fmt.Errorf("multilora: %s: tensor %q: want shape %v beside this model's weight %s, got %v",
				f.Path(), t.Name, shape, w, t.Shape)
		}
		known[name] = true
		return nil
	}
	for _, s := range slots {
		w, rank := s.base.Weight.Value, cfg.of(s.name).Rank
		for part, shape := range map[string][]int{"A": {rank, w.Dim(1)}, "B": {w.Dim(0), rank}} {
			if err := check(peftName(s.name, part), shape, w); err != nil {
				return err
			}
		}
	}
	for _, e := range extras {
		w := e.param.Value
		if err := check(peftPrefix+e.name, w.Shape(), w); err != nil {
			return err
		}
		head, ok := f.names[peftPrefix+headParam]
		switch own := f.names[peftPrefix+e.name]; {
		case !e.head || !ok && tied:
		case !ok || head.DType != own.DType || !bytes.Equal(head.Data, own.Data):
			return fmt.Errorf("multilora: %s: tensor %q: want the numbers of %q beside this model,"+
				" whose head is its embedding, got others or none",
				f.Path(), peftPrefix+headParam, own.Name)
		default:
			known[peftPrefix+headParam] = true
		}
	}
	for _, name := range f.Names() {
		if plain := strings.Replace(name, ".default.weight", ".weight", 1); !known[plain] {
			return fmt.Errorf("multilora: %s: tensor %s: want lora_A and lora_B of the %d layers, and the %d "+
				"parameters,"+
				" that %s chooses in this model, got %s",
				f.Path(), quoted(name), len(slots), len(extras), PEFTConfigFile, tensorKind(plain))
		}
	}
	return nil
}

// SavePEFT writes the adapter as a folder that PEFT reads, which is made if need be.
// LoRA and rsLoRA are written as they are, MultiLoRA as one LoRA (see Fold), so that it
// computes the same there but cannot train on in this form: Save it as well. Extra
// parameters go there as modules, of which all parameters must be among them.
func (a *Adapter) SavePEFT(dir string) error {
	for _, e := range a.extras {
		if !e.whole {
			return fmt.Errorf(
				"multilora: saving %s: PEFT saves whole modules: want every parameter of %s in field extra, and no "+
					"modules beside it, got %s alone", dir, moduleOf(e.name), e.name)
		}
	}
	if a.config.learnsScaling() {
		scope := a.device().Scope()
		defer scope.Close()
		f, err := a.Fold()
		if err != nil {
			return err
		}
		a = f
	}
	var tensors []safetensors.Source
	for _, l := range a.layers {
		ms, err := l.linear.read()
		if err != nil {
			return fmt.Errorf("multilora: saving layer %s: %w", l.name, err)
		}
		out, in, rank := l.linear.B.Value.Dim(0), l.linear.A.Value.Dim(1), l.linear.A.Value.Dim(0)
		tensors = append(tensors,
			safetensors.FromFloat32s(peftName(l.name, "A"), []int{rank, in}, ms[0].a).Source(),
			safetensors.FromFloat32s(peftName(l.name, "B"), []int{out, rank}, ms[0].b).Source())
	}
	for _, e := range a.extras {
		values, err := e.value().Float32s()
		if err != nil {
			return fmt.Errorf("multilora: saving parameter %s: %w", e.name, err)
		}
		names := []string{e.name}
		if e.head {
			names = append(names, headParam)
		}
		for _, name := range names {
			tensors = append(tensors, safetensors.FromFloat32s(peftPrefix+name, e.param.Value.Shape(), values).Source())
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	metadata := map[string]string{"format": "pt"}
	if err := safetensors.Write(filepath.Join(dir, PEFTTensorFile), metadata, tensors...); err != nil {
		return err
	}
	text, err := json.MarshalIndent(a.peftConfig(), "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, PEFTConfigFile), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// peftConfig is adapter_config.json for LoRA and rsLoRA.
func (a *Adapter) peftConfig() map[string]any {
	c := a.config
	// Patterns match the ends of names; before 0.15 PEFT wanted a dot before what they match.
	end := func(layer string) string {
		if _, rest, ok := strings.Cut(layer, "."); ok {
			return rest
		}
		return layer
	}
	ranks, alphas := map[string]int{}, map[string]float64{}
	for layer, r := range c.Ranks {
		ranks[end(layer)] = r
	}
	for layer, alpha := range c.Alphas {
		alphas[end(layer)] = alpha
	}
	saves := a.saves
	if slices.ContainsFunc(a.extras, func(e *extra) bool { return e.head }) {
		saves = append(slices.Clip(saves), headModule)
	}
	return map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": a.Base, "revision": nil,
		"r": c.Rank, "lora_alpha": c.Alpha, "lora_dropout": c.Dropout, "use_rslora": c.Method == MethodRSLoRA,
		"rank_pattern": ranks, "alpha_pattern": alphas, "target_modules": a.targets,
		"layers_to_transform": nil, "layers_pattern": nil, "bias": "none", "fan_in_fan_out": false,
		"inference_mode": true, "init_lora_weights": true, "modules_to_save": saves, "use_dora": false,
	}
}

// tensorKind says what a tensor is by its name, that belongs to no LoRA as it is known here.
func tensorKind(name string) string {
	layer := func(end string) string { return lastPart(name[:strings.Index(name, end)]) }
	for _, k := range []struct{ part, kind string }{
		{".lora_magnitude_vector", "a magnitude of DoRA, which is not supported"},
		{".lora_A.bias", "a bias of lora_A, which is not supported"},
		{".lora_B.bias", "a bias of lora_B, which is not supported"},
		{".trainable_tokens_delta", "trained rows of the embedding, which are not supported"},
		{".lora_embedding_", ""},
		{".lora_A.", ""},
		{".lora_B.", ""},
		{".base_layer.", ""},
	} {
		switch {
		case !strings.Contains(name, k.part):
		case k.kind != "":
			return k.kind
		case slices.Contains([]string{headModule, "embed_tokens"}, layer(k.part)):
			return fmt.Sprintf("one of %s, which is not supported as a LoRA layer", layer(k.part))
		default:
			return "one of another layer"
		}
	}
	return "another"
}
