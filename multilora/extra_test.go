package multilora

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// withExtra is a small adapter and parameters of every kind that train beside it.
func withExtra(method Method) Config {
	cfg := kinds()["scalar"]
	cfg.Targets = []string{"q_proj", "up_proj"}
	if method != MethodMultiLoRA {
		cfg.Method, cfg.Modules = method, 1
	}
	cfg.Extra = []string{"norm", "*layernorm.weight", "lm_head", "embed_tokens", "q_proj.bias",
		"model.layers.1.mlp.gate_proj"}
	return cfg
}

// tiedTiny is a model whose head is its embedding.
func tiedTiny(t *testing.T, d *tensor.Device) *llama.Model {
	t.Helper()
	c := tiny(t, d).Config
	c.Tied = true
	m, err := llama.New(d, c, 7)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Which parameters patterns choose, and what is wrong with those that choose none.
func TestExtraPatterns(t *testing.T) {
	d := open(t, 1)
	for _, c := range []struct {
		pattern, want string // names without model. and layers.
		tied          bool
	}{
		{pattern: "norm", want: "norm.weight"},
		{pattern: "model.norm", want: "norm.weight"},
		{pattern: "model.norm.weight", want: "norm.weight"},
		{pattern: "*norm.weight", want: "0.input_layernorm.weight 0.post_attention_layernorm.weight 1.input_layernorm.weight 1.post_attention_layernorm.weight norm.weight"},
		{pattern: "input_layernorm", want: "0.input_layernorm.weight 1.input_layernorm.weight"},
		{pattern: "layers.1.input_layernorm", want: "1.input_layernorm.weight"},
		{pattern: "bias", want: "0.self_attn.q_proj.bias 0.self_attn.k_proj.bias 0.self_attn.v_proj.bias 1.self_attn.q_proj.bias 1.self_attn.k_proj.bias 1.self_attn.v_proj.bias"},
		{pattern: "model.layers.[1-9].*k_proj.*", want: "1.self_attn.k_proj.weight 1.self_attn.k_proj.bias"},
		{pattern: "lm_head", want: "lm_head.weight"},
		{pattern: "embed_tokens", want: "embed_tokens.weight", tied: true},
	} {
		m := tiny(t, d)
		if c.tied {
			m = tiedTiny(t, d)
		}
		cfg := kinds()["lora"]
		cfg.Targets, cfg.Extra = []string{"q_proj"}, []string{c.pattern}
		got := strings.Join(attach(t, m, cfg).Extra(), " ")
		if got = strings.NewReplacer("model.layers.", "", "model.", "").Replace(got); got != c.want {
			t.Errorf("%s chooses %q, want %q", c.pattern, got, c.want)
		}
	}
	for pattern, want := range map[string]string{
		"norms":   `field extra: "norms" matches no parameter of the model, which has embed_tokens, input_layernorm, q_proj, k_proj, v_proj, o_proj, post_attention_layernorm, gate_proj, up_proj, down_proj, norm`,
		"lm_head": `field extra: "lm_head" matches no parameter of the model, which has embed_tokens, input_layernorm`,
		"":        `field extra: "" matches no parameter`,
		"mlp":     `field extra: "mlp" matches no parameter`, // it has none of its own
		"[":       `field extra: "[": syntax error in pattern`,
		"weight":  `field extra: "weight" matches model.layers.0.self_attn.q_proj.weight, which has modules beside it: want parameters that targets does not choose`,
	} {
		cfg := kinds()["lora"]
		cfg.Targets, cfg.Extra = []string{"q_proj"}, []string{"norm", pattern}
		m := tiedTiny(t, d)
		_, err := Attach(m, cfg, 1)
		if err == nil || !strings.Contains(err.Error(), want) ||
			pattern == "lm_head" && !strings.HasSuffix(err.Error(), "(its head is its embedding)") {
			t.Errorf("%q: error %v, want %q", pattern, err, want)
		}
		untouched(t, m)
	}
}

// Parameters train beside the modules, in f32 and in 16 bits: they begin as the model's,
// all have gradients and move, are saved and loaded with the same bits, merged and
// unmerged, and leave the model as it was.
func TestExtraParameters(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		t.Run(dt.String(), func(t *testing.T) {
			d := open(t, 2)
			m := stored(t, tiny(t, d), dt)
			base, before := logits(t, m, batch()), bits(t, m)
			a := attach(t, m, withExtra(MethodMultiLoRA))
			if got := logits(t, m, batch()); !slices.Equal(got, base) {
				t.Errorf("the logits begin %g off", distance(got, base))
			}
			if n := len(a.Extra()); n != 1+1+4+2+1+1 {
				t.Errorf("%d parameters: %v", n, a.Extra())
			}
			params := maps.Collect(nn.Params(m))
			gather(t, m)
			backward(t, m, batch(), 0)
			for _, name := range a.Extra() {
				if !slices.ContainsFunc(read(t, params[name].Grad), func(g float32) bool { return g != 0 }) {
					t.Errorf("%s has no gradient", name)
				}
			}
			trained(t, m, 6)
			adapted, extra := logits(t, m, batch()), map[string][]float32{}
			for _, name := range a.Extra() {
				if extra[name] = read(t, params[name].Value); bytes.Equal(bits(t, m)[name], before[name]) {
					t.Errorf("%s does not train", name)
				}
			}
			same := func(what string, model *llama.Model, want []float32) {
				t.Helper()
				if got := logits(t, model, batch()); !slices.Equal(got, want) {
					t.Errorf("%s: the logits are off by %g", what, distance(got, want))
				}
			}

			dir, again := t.TempDir(), t.TempDir()
			if err := a.Save(dir); err != nil {
				t.Fatal(err)
			}
			fresh := stored(t, tiny(t, d), dt)
			b, err := Load(fresh, dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			same("loaded", fresh, adapted)
			if err := b.Save(again); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, dir, again)
			for name, p := range nn.Params(fresh) {
				part := lastPart(name)
				if trains := part == "A" || part == "B" || part == "s" ||
					slices.Contains(a.Extra(), name); p.Frozen == trains {
					t.Errorf("loaded: %s: frozen %v", name, p.Frozen)
				}
			}

			if _, err := a.Merge(); err != nil {
				t.Fatal(err)
			}
			if got, limit := logits(t, m, batch()),
				map[tensor.DType]float64{tensor.F32: 1e-4, tensor.BF16: 0.05}[dt]; distance(got, adapted) > limit {
				t.Errorf("merged, the logits are off by %g", distance(got, adapted))
			}
			merged := logits(t, m, batch())
			a.Detach()
			same("merged and detached", m, merged)
			for name, p := range nn.Params(m) {
				if !p.Frozen {
					t.Errorf("merged, %s trains", name)
				}
			}
			if err := a.Unmerge(); err != nil {
				t.Fatal(err)
			}
			same("unmerged", m, adapted)
			a.Detach()
			for name, want := range before {
				if got := bits(t, m)[name]; !bytes.Equal(got, want) {
					t.Errorf("detached, %s has other bits", name)
				}
			}
			if _, err := a.Merge(); err != nil { // of one that is detached
				t.Fatal(err)
			}
			same("merged once more", m, merged)
			if err := a.Unmerge(); err != nil {
				t.Fatal(err)
			}
			for _, name := range a.Extra() {
				if p := params[name]; p.Frozen || !slices.Equal(read(t, p.Value), extra[name]) {
					t.Errorf("%s: frozen %v, or other numbers than trained", name, p.Frozen)
				}
			}
		})
	}
}

// PEFT's folder has the parameters as modules_to_save, under its names, and read back
// the model computes the same.
func TestExtraInPEFT(t *testing.T) {
	for _, method := range []Method{MethodLoRA, MethodMultiLoRA} {
		for _, tied := range []bool{false, true} {
			d := open(t, 2)
			model := tiny
			cfg := withExtra(method)
			cfg.Extra = []string{"norm", "model.layers.1.input_layernorm", "post_attention_layernorm", "k_proj",
				"embed_tokens", "lm_head"}
			saves := []any{"embed_tokens", "k_proj", "post_attention_layernorm", "model.layers.1.input_layernorm",
				"model.norm", "lm_head"}
			if tied {
				model, cfg.Extra = tiedTiny, cfg.Extra[:5]
			}
			m := model(t, d)
			a := attach(t, m, cfg)
			trained(t, m, 6)
			want := logits(t, m, batch())
			dir := t.TempDir()
			if err := a.SavePEFT(dir); err != nil {
				t.Fatal(err)
			}
			if got := readJSON(t, filepath.Join(dir, PEFTConfigFile))["modules_to_save"]; !slices.Equal(got.([]any),
				saves) {
				t.Errorf("modules_to_save is %v, want %v", got, saves)
			}
			tensors := peftTensors(t, dir)
			for name, shape := range map[string][]int{
				"base_model.model.lm_head.weight": {61, 24}, "base_model.model.model.embed_tokens.weight": {61, 24},
				"base_model.model.model.norm.weight":                    {24},
				"base_model.model.model.layers.0.self_attn.k_proj.bias": {8},
			} {
				if x := tensors[name]; x.DType != safetensors.F32 || !slices.Equal(x.Shape, shape) {
					t.Errorf("%s is %s %v, want F32 %v", name, x.DType, x.Shape, shape)
				}
			}
			back := model(t, d)
			b, err := LoadPEFT(back, dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(b.Extra(), a.Extra()) {
				t.Errorf("read back %v, want %v", b.Extra(), a.Extra())
			}
			got := logits(t, back, batch())
			if e := distance(got, want); e > 1e-5 || method == MethodLoRA && e != 0 {
				t.Errorf("%s, tied %v: read back the logits are off by %g", method, tied, e)
			}
			own := t.TempDir()
			if err := b.Save(own); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(model(t, d), own, Options{}); err != nil {
				t.Errorf("imported and saved: %v", err)
			}
		}
	}
}

// What PEFT's modules_to_save means: ends of names, at a dot or not, of modules and of
// what they hold; its layers have no LoRA.
func TestPEFTSavedModules(t *testing.T) {
	m := tiny(t, open(t, 1))
	for saves, want := range map[string]string{
		`["norm"]`:               "input_layernorm post_attention_layernorm norm",
		`["model.norm"]`:         "model.norm",
		`["lm_head", "no_such"]`: "lm_head",
		`["mlp"]`:                "gate_proj up_proj down_proj",
		`["layers.1.mlp"]`:       "model.layers.1.mlp.gate_proj model.layers.1.mlp.up_proj model.layers.1.mlp.down_proj",
		`[]`:                     "",
		`null`:                   "",
	} {
		c, err := parsePEFTConfig([]byte(`{"peft_type": "LORA", "target_modules": "all-linear", "modules_to_save": ` +
			saves + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.extra(m), " "); got != want {
			t.Errorf("%s means %q, want %q", saves, got, want)
		}
		if _, _, err := findExtra(m, nil, c.extra(m)); err != nil {
			t.Errorf("%s: %v", saves, err)
		}
		for layer := range nn.Layers(m) {
			if c.adapts(layer) == c.replaces(layer) {
				t.Errorf("%s: %s has a LoRA: %v, is replaced: %v", saves, layer, c.adapts(layer), c.replaces(layer))
			}
		}
	}
}

// Over a quantized base they cannot begin, but those of a file work, in f32.
func TestExtraOverQuantizedBase(t *testing.T) {
	d := open(t, 2)
	dir := savedInBlocks(t)
	load := func(dt tensor.DType) *llama.Model {
		m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{DType: dt})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	cfg := withExtra(MethodMultiLoRA)
	cfg.Extra = []string{"lm_head", "norm"}
	want := `field extra: parameter lm_head.weight is q8[61 96], and what is quantized cannot train: want it in f32, f16 or bf16 (--dtype)`
	if _, err := Attach(load(tensor.Q8), cfg, 1); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	m := load(tensor.F32)
	a := attach(t, m, cfg)
	trained(t, m, 6)
	folder := t.TempDir()
	if err := a.Save(folder); err != nil {
		t.Fatal(err)
	}
	small := load(tensor.Q8)
	base := small.Head.Weight.Value
	b, err := Load(small, folder, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if head := small.Head.Weight.Value; head.DType() != tensor.F32 ||
		!slices.Equal(read(t, head), read(t, m.Head.Weight.Value)) {
		t.Errorf("the loaded head is %s, or not the trained one", head)
	}
	if e := distance(logits(t, small, batch()), logits(t, m, batch())); e > 0.05 {
		t.Errorf("over q8 the logits are off by %g", e)
	}
	want32 := logits(t, small, batch())
	b.Detach()
	if small.Head.Weight.Value != base {
		t.Error("detached, the model has not its own head")
	}
	half, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{DType: tensor.Q8, ComputeDType: tensor.BF16})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(half, folder, Options{}); err != nil {
		t.Fatal(err)
	}
	if e := distance(logits(t, half, batch()), want32); e == 0 || e > 0.05 {
		t.Errorf("computing in bf16 the logits are off by %g", e)
	}
}

// Where there is no place for such parameters an error says so, and two adapters do not
// mix theirs.
func TestExtraErrors(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	cfg := withExtra(MethodLoRA)
	a := attach(t, m, cfg)
	fails := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", what, err, want)
		}
	}
	fails("GGUF", a.SaveGGUF(filepath.Join(t.TempDir(), "a.gguf"), m.Config),
		"want an adapter that has nothing but modules beside layers, got one that trains model.embed_tokens.weight as well (field extra): Merge it")
	fails("PEFT", a.SavePEFT(t.TempDir()), "want every parameter of model.layers.0.self_attn.q_proj in field extra, and no modules beside it, got model.layers.0.self_attn.q_proj.bias alone")
	set := NewSet(m)
	if err := set.Add("all", a); err != nil {
		t.Fatal(err)
	}
	fails("rows", set.UseRows("", "all"), `rows with adapters of their own: adapter "all": want an adapter that has nothing but modules`)
	if err := set.Use("all"); err != nil {
		t.Fatal(err)
	}

	set.Detach()
	other := cfg
	other.Targets, other.Extra = []string{"o_proj"}, []string{"norm"}
	b := attach(t, m, other)
	fails("two at once", a.Attach(), "parameter model.norm.weight is another adapter's: Detach it first")
	_, err := a.Merge()
	fails("merged under another", err, "parameter model.norm.weight is another adapter's")
	b.Detach()
	if _, err := a.Merge(); err != nil {
		t.Fatal(err)
	}
	c := attach(t, m, other)
	fails("unmerged under another", a.Unmerge(), "parameter model.norm.weight is another adapter's")
	c.Detach()
	if err := a.Unmerge(); err != nil {
		t.Error(err)
	}
}

// What is wrong with the tensors of a file is named, and the model stays as it was.
func TestLoadExtraErrors(t *testing.T) {
	d := open(t, 1)
	m := tiedTiny(t, d)
	cfg := withExtra(MethodLoRA)
	cfg.Extra = []string{"embed_tokens", "norm"}
	a := attach(t, m, cfg)
	own, peft := t.TempDir(), t.TempDir()
	if err := a.Save(own); err != nil {
		t.Fatal(err)
	}
	if err := a.SavePEFT(peft); err != nil {
		t.Fatal(err)
	}
	const head, norm = "base_model.model.lm_head.weight", "base_model.model.model.norm.weight"
	for _, c := range []struct {
		file, tensor string
		shape        []int // of the tensor in place of it; nil: none
		want         string
	}{
		{TensorFile, "extra.model.norm.weight", nil, `tensor "extra.model.norm.weight": want the tensor, got none`},
		{TensorFile, "extra.model.norm.weight", []int{25},
			`tensor "extra.model.norm.weight": want F32 [24] beside this model's weight f32[24], got F32 [25]`},
		{TensorFile, "extra.model.norm.bias", []int{24},
			`tensor "extra.model.norm.bias": want none of that name with 1 modules on 4 layers and 2 parameters beside them`},
		{PEFTTensorFile, norm, nil, `tensor "` + norm + `": want shape [24], got no such tensor`},
		{PEFTTensorFile, norm, []int{2, 12}, `tensor "` + norm +
			`": want shape [24] beside this model's weight f32[24], got [2 12]`},
		{PEFTTensorFile, head, nil, `tensor "` + head +
			`": want the numbers of "base_model.model.model.embed_tokens.weight" beside this model, whose head is its embedding, got others or none`},
		{PEFTTensorFile, head, []int{61, 24}, `tensor "` + head + `": want the numbers of`},
	} {
		dir := map[string]string{TensorFile: own, PEFTTensorFile: peft}[c.file]
		f, err := safetensors.Open(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		var sources []safetensors.Source
		for _, name := range f.Names() {
			if x, _ := f.Tensor(name); name != c.tensor {
				sources = append(sources, x.Source())
			}
		}
		if c.shape != nil {
			sources = append(sources, safetensors.FromFloat32s(c.tensor, c.shape,
				make([]float32, tensor.Numel(c.shape))).Source())
		}
		bad := t.TempDir()
		if err := os.CopyFS(bad, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := safetensors.Write(filepath.Join(bad, c.file), f.Metadata(), sources...); err != nil {
			t.Fatal(err)
		}
		f.Close()
		fresh := tiedTiny(t, d)
		if _, err := Open(fresh, bad, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: error %v, want %q", c.tensor, c.shape, err, c.want)
		}
		untouched(t, fresh)
	}
}
