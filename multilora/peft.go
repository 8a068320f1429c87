package multilora

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// The files of an adapter's folder in the form of PEFT, Hugging Face's library.
const (
	// PEFTTensorFile has base_model.model.LAYER.lora_A.weight [r, in], …lora_B.weight
	// [out, r], of the embedding …lora_embedding_A [r, vocab] and …lora_embedding_B [hidden, r], and
	// base_model.model.NAME for the parameters of modules_to_save. See PEFTPickleFile.
	PEFTTensorFile = "adapter_model.safetensors"
	PEFTConfigFile = "adapter_config.json"
)

// LoadPEFT attaches a LoRA or rsLoRA that PEFT has written to a model and freezes the
// model. Layers may have ranks and alphas of their own, and modules_to_save becomes
// Config.Extra. What PEFT can do beyond that (trained biases of adapted layers, QALoRA, …)
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
	all, err := slotsOf(model)
	if err != nil {
		return nil, err
	}
	c.refuseModules(otherModules(model, all))
	if tiedHead(model) != nil {
		c.checkTied()
	}
	if err := c.err(); err != nil {
		return nil, fmt.Errorf("multilora: %s: %w", path, err)
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(s slot) bool { return !c.chooses(s, tiedHead(model) != nil) })
	if c.fence.err != nil {
		return nil, fmt.Errorf("multilora: %s: %w", path, c.fence.err)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf(
			"multilora: %s: field target_modules: want layers of the model, which has %s, got none of them",
			path, lastParts(namesOf(all)))
	}
	cfg := Config{
		Method: MethodLoRA, Modules: 1, Rank: c.rank, Alpha: c.alpha, Scaling: ScalingScalar,
		Targets: shortest(namesOf(chosen), namesOf(all)), Dropout: c.dropout, Extra: c.extra(model),
	}
	switch cfg.Bias = c.bias; {
	case c.doRA:
		cfg.Method = MethodDoRA
	case c.rsLoRA:
		cfg.Method = MethodRSLoRA
	}
	for _, s := range chosen {
		rank, alpha := c.of(s.name)
		if c.doRA && c.rsLoRA {
			alpha *= math.Sqrt(float64(rank)) // as alpha / rank
		}
		cfg.set(s.name, rank, alpha)
	}
	if err := cfg.fits(chosen); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	if c.fence.err != nil {
		return nil, fmt.Errorf("multilora: %s: %w", path, c.fence.err)
	}
	extras, _, err := findExtra(model, chosen, cfg.Extra)
	if err != nil {
		return nil, fmt.Errorf("%w (%s: field modules_to_save)", err, path)
	}
	if cfg.Tokens, err = c.spelled(tiedHead(model) != nil); err != nil {
		return nil, fmt.Errorf("multilora: %s: %w", path, err)
	}
	tokens, err := findTokens(model, chosen, cfg, extras)
	if err != nil {
		return nil, fmt.Errorf("%w (%s: field trainable_token_indices)", err, path)
	}
	f, err := openPEFT(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.check(chosen, extras, tokens, cfg, model, c.tied); err != nil {
		return nil, fmt.Errorf("%w (the adapter was made for %s)", err, quoted(c.base))
	}
	for _, e := range extras {
		values, err := f.names[peftPrefix+e.name].Float32s()
		if err != nil {
			return nil, err
		}
		e.set(values)
	}
	for _, r := range tokens {
		values, err := f.names[peftTokensName(r.name)].Float32s()
		if err != nil {
			return nil, err
		}
		r.set(values)
	}
	a := &Adapter{Base: c.base, config: cfg, extras: extras, tokens: tokens}
	return a.assemble(model, dir, o, chosen, func(s slot) (module, error) {
		return f.read(peftParts(s, cfg.of(s.name), tiedHead(model) != nil))
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

// SavePEFT writes the adapter as a folder that PEFT reads, which is made if need be.
// LoRA and rsLoRA are written as they are, MultiLoRA as one LoRA (see Fold), so that it
// computes the same there but cannot train on in this form: Save it as well. So is rsLoRA of
// a mixture's experts (see PEFTLimits). Extra
// parameters go there as modules, of which all parameters must be among them.
func (a *Adapter) SavePEFT(dir string) error {
	for _, e := range a.extras {
		if !e.whole {
			return fmt.Errorf(
				"multilora: saving %s: PEFT saves whole modules: want every parameter of %s in field extra, and no "+
					"modules beside it, got %s alone", dir, moduleOf(e.name), e.name)
		}
	}
	// Where PEFT puts gate and up of experts together their rank doubles, and the scale of rsLoRA is another.
	if a.config.learnsScaling() || a.config.Method == MethodRSLoRA && a.adaptsExperts() {
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
		for _, p := range peftParts(l.slot, a.config.of(l.name), tiedHead(a.model) != nil) {
			tensors = append(tensors, p.source(&ms[0]))
		}
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
	for _, r := range a.tokens {
		values, err := r.Rows.Value.Float32s()
		if err != nil {
			return fmt.Errorf("multilora: saving rows of %s: %w", r.name, err)
		}
		tensors = append(tensors,
			safetensors.FromFloat32s(peftTokensName(r.name), r.Rows.Value.Shape(), values).Source())
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
	var tokens any // a list of the embedding's, or lists by module
	switch rows := a.Tokens(); {
	case len(rows) == 1 && rows[embeddingModule] != nil:
		tokens = rows[embeddingModule]
	case len(rows) > 0:
		byModule := map[string][]int32{}
		for module, ids := range rows {
			byModule[lastPart(module)] = ids
		}
		tokens = byModule
	}
	tied := tiedHead(a.model) != nil && a.adaptsEmbedding()
	if tied { // its head, which PEFT then adapts as well, has the same
		if r, ok := c.Ranks[embeddingModule]; ok {
			ranks[headModule] = r
		}
		if alpha, ok := c.Alphas[embeddingModule]; ok {
			alphas[headModule] = alpha
		}
	}
	return map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": a.Base, "revision": nil,
		"r": c.Rank, "lora_alpha": c.Alpha, "lora_dropout": c.Dropout, "use_rslora": c.Method == MethodRSLoRA,
		"rank_pattern": ranks, "alpha_pattern": alphas, "target_modules": a.targets,
		"ensure_weight_tying": tied,
		"layers_to_transform": nil, "layers_pattern": nil, "bias": "none", "fan_in_fan_out": false,
		"inference_mode": true, "init_lora_weights": true, "modules_to_save": saves,
		"trainable_token_indices": tokens,
		"use_dora":                c.Method == MethodDoRA, "lora_bias": c.Bias,
	}
}

// adaptsEmbedding reports whether modules stand beside the embedding.
func (a *Adapter) adaptsEmbedding() bool {
	return slices.ContainsFunc(a.layers, func(l adapted) bool { return l.name == embeddingModule })
}
