package multilora

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// loraForms are those of LoRA that have more than A and B.
func loraForms() map[string]Config {
	bias := Config{Method: MethodRSLoRA, Modules: 1, Rank: 3, Alpha: 2, Scaling: ScalingScalar, Bias: true,
		Targets: []string{"q_proj", "o_proj", "down_proj"}, Dropout: 0.1} // q_proj has a bias, the others not
	dora := Config{Method: MethodDoRA, Modules: 1, Rank: 3, Alpha: 2, Scaling: ScalingScalar,
		Targets: []string{"q_proj", "o_proj", "up_proj"}, Dropout: 0.1,
		Ranks: map[string]int{"model.layers.1.mlp.up_proj": 2}}
	tokens := Config{Method: MethodLoRA, Modules: 1, Rank: 3, Alpha: 2, Scaling: ScalingScalar,
		Targets: []string{"v_proj"}, Tokens: []string{"60", "7-9", "lm_head:8", "lm_head:3"}}
	return map[string]Config{"bias": bias, "dora": dora, "tokens": tokens}
}

func eachForm(t *testing.T, f func(t *testing.T, cfg Config)) {
	for name, cfg := range loraForms() {
		t.Run(name, func(t *testing.T) { f(t, cfg) })
	}
}

// biased is tiny of a family whose config.json has words for all biases.
func biased(t *testing.T) *llama.Model {
	t.Helper()
	d := open(t, 2)
	shape := tiny(t, d).Config
	shape.OBias = true
	m, err := llama.New(d, shape, 7)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A form begins as the base, and comes back from every folder that it is saved to.
func TestFormsAreSaved(t *testing.T) {
	eachForm(t, func(t *testing.T, cfg Config) {
		m := biased(t)
		base := logits(t, m, batch())
		a := attach(t, m, cfg)
		if got := distance(logits(t, m, batch()), base); got > 1e-6 {
			t.Errorf("it begins %g away from the base", got)
		}
		trained(t, m, 8)
		want := logits(t, m, batch())
		if distance(want, base) < 0.1 {
			t.Error("training has changed little")
		}
		own, peft := t.TempDir(), t.TempDir()
		for _, err := range []error{a.Save(own), a.SavePEFT(peft)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		digest, err := a.Digest()
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{own, peft} {
			back := biased(t)
			b, err := Open(back, dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := logits(t, back, batch()); !slices.Equal(got, want) {
				t.Errorf("read back the logits are off by %g", distance(got, want))
			}
			if got, err := b.Digest(); got != digest || err != nil {
				t.Errorf("digest %s, want %s, %v", got, digest, err)
			}
			if b.Config().Method != cfg.Method || b.Config().Bias != cfg.Bias ||
				!slices.Equal(b.Config().Tokens, cfg.Tokens) {
				t.Errorf("read back as %+v", b.Config())
			}
		}
	})
}

// Merged, a form computes the same; a folder of the merged model as well; unmerged, the model is what it was.
func TestFormsMerge(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		eachForm(t, func(t *testing.T, cfg Config) {
			m := stored(t, biased(t), dt)
			before, config := bits(t, m), m.Config
			a := attach(t, m, cfg)
			trained(t, m, 8)
			want := logits(t, m, batch())
			report, err := a.Merge()
			if err != nil {
				t.Fatal(err)
			}
			limit := map[tensor.DType]float64{tensor.F32: 1e-5, tensor.BF16: 0.1}[dt]
			if got := distance(logits(t, m, batch()), want); got > limit {
				t.Errorf("%s: merged the logits are off by %g", dt, got)
			}
			for _, l := range report {
				if !(l.Change > 1e-3 && l.Change < 1) || dt == tensor.F32 && l.Lost > 1e-4 {
					t.Errorf("%+v", l)
				}
			}
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			saved, err := llama.Load(t.Context(), m.Device(), dir, llama.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := distance(logits(t, saved, batch()), logits(t, m, batch())); got > limit {
				t.Errorf("%s: saved the logits are off by %g", dt, got)
			}
			if err := a.Unmerge(); err != nil {
				t.Fatal(err)
			}
			if got := logits(t, m, batch()); !slices.Equal(got, want) {
				t.Errorf("%s: unmerged the logits are off by %g", dt, distance(got, want))
			}
			a.Detach()
			for name, was := range before {
				if now := bits(t, m); !slices.Equal(now[name], was) || len(now) != len(before) {
					t.Fatalf("%s: %s has changed", dt, name)
				}
			}
			if m.Config.OBias != config.OBias || m.Config.MLPBias != config.MLPBias || len(m.Config.Merged) > 0 {
				t.Errorf("the configuration is %+v", m.Config)
			}
		})
	}
}

// A family whose config.json has no word for a bias refuses it, and is what it was.
func TestBiasesWithoutAPlace(t *testing.T) {
	d := open(t, 1)
	shape := tiny(t, d).Config
	shape.ModelType = "qwen2"
	m, err := llama.New(d, shape, 7)
	if err != nil {
		t.Fatal(err)
	}
	before := bits(t, m)
	a := attach(t, m, loraForms()["bias"])
	const want = "multilora: merging biases (lora_bias): llama: a bias of layer model.layers.0.self_attn.o_proj: want a " +
		"family whose config.json has a word for it (attention_bias, mlp_bias), got qwen2"
	if _, err := a.Merge(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if !a.layers[0].has(a.layers[0].linear) {
		t.Error("the adapter has left the model")
	}
	a.Detach()
	if len(bits(t, m)) != len(before) || m.Config.OBias {
		t.Error("the model has changed")
	}
	cfg := loraForms()["bias"]
	cfg.Targets = []string{"q_proj", "v_proj"} // which have one
	a = attach(t, m, cfg)
	trained(t, m, 3)
	expected := logits(t, m, batch())
	if _, err := a.Merge(); err != nil {
		t.Fatal(err)
	}
	if got := distance(logits(t, m, batch()), expected); got > 1e-5 {
		t.Errorf("merged the logits are off by %g", got)
	}
}

// What has no place for a form refuses it by name.
func TestFormsRefused(t *testing.T) {
	for name, what := range map[string]string{
		"bias": "has biases of B (field bias)", "dora": "scales the weights' rows (method dora)",
		"tokens": "trains rows of model.embed_tokens as well (field tokens)",
	} {
		m := biased(t)
		a := attach(t, m, loraForms()[name])
		_, _, combined := Combine([]*Adapter{a}, CombineOptions{})
		dir := t.TempDir()
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		a.Detach()
		_, joined := AttachBranches(m, []string{dir}, ScalingScalar, Options{})
		set := NewSet(m)
		if err := set.Add("a", a); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{combined, joined, a.SaveGGUF(filepath.Join(dir, "a.gguf"), m.Config),
			set.UseRows("a", "")} {
			if err == nil || !strings.Contains(err.Error(), "got one that "+what+": Merge it") {
				t.Errorf("%s: error %v", name, err)
			}
		}
	}
	m := biased(t)
	dora := attach(t, m, loraForms()["dora"])
	if _, err := dora.SingularValues(dora.Layers()[0]); err == nil || !strings.Contains(err.Error(), "method dora") {
		t.Errorf("error %v", err)
	}
	dora.Detach()
	for field, change := range map[string]func(*Config){
		"field bias: want false beside lm_head, got true":                       func(c *Config) { c.Method, c.Bias = MethodLoRA, true },
		"field method: want multilora, lora or rslora beside lm_head, got dora": func(c *Config) { c.Method = MethodDoRA },
		"field bias: want false with method dora, got true":                     func(c *Config) { c.Method, c.Bias = MethodDoRA, true },
	} {
		cfg := loraForms()["dora"]
		cfg.Ranks, cfg.Targets = nil, []string{"q_proj", "lm_head"}
		change(&cfg)
		if _, err := Attach(m, cfg, 1); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, want %s", err, field)
		}
	}
}

// The norms that DoRA divides by are those of the weight as it lies, whatever it lies in.
func TestDoRANorms(t *testing.T) {
	d := open(t, 2)
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.Q8, tensor.Q4} {
		w := d.FromFloat32s(dt, uniform(1, "w", 1, 48*64), 48, 64)
		l := newLinear(&nn.Linear{Weight: &nn.Param{Value: w}}, Config{Method: MethodDoRA, Modules: 1, Rank: 3, Alpha: 5})
		l.set([]module{{a: uniform(1, "a", 1, 3*64), b: uniform(1, "b", 1, 48*3)}})
		a, b, values := read(t, l.A.Value), read(t, l.B.Value), read(t, w)
		got := read(t, l.norms().Tensor())
		if own := read(t, l.Magnitude.Value); !slices.Equal(own, got) {
			t.Errorf("%s: it does not begin with the norms", dt)
		}
		for o := range 48 {
			sum := 0.0
			for in := range 64 {
				v := float64(values[o*64+in])
				for r := range 3 {
					v += 5. / 3 * float64(b[o*3+r]) * float64(a[r*64+in])
				}
				sum += v * v
			}
			if want := math.Sqrt(sum); math.Abs(float64(got[o])-want) > 1e-5*want {
				t.Errorf("%s: row %d has norm %g, want %g", dt, o, got[o], want)
			}
		}
	}
}

// Only the rows that are named train, of a tied head in both places, and merging puts them into the weight as they are.
func TestTokensTrain(t *testing.T) {
	for _, tied := range []bool{false, true} {
		d := open(t, 2)
		shape := tiny(t, d).Config
		shape.Tied = tied
		m, err := llama.New(d, shape, 7)
		if err != nil {
			t.Fatal(err)
		}
		before := read(t, m.Embedding.Weight.Value)
		cfg := loraForms()["tokens"]
		cfg.Tokens = []string{"60", "embed_tokens:7-9"}
		base := logits(t, m, batch())
		a := attach(t, m, cfg)
		if got := distance(logits(t, m, batch()), base); got > 1e-6 {
			t.Errorf("it begins %g away from the base", got)
		}
		trained(t, m, 8)
		want := logits(t, m, batch())
		rows := read(t, a.tokens[0].Rows.Value)
		if _, err := a.Merge(); err != nil {
			t.Fatal(err)
		}
		after := read(t, m.Embedding.Weight.Value)
		for id := range shape.Vocab {
			row := slices.Clone(before[id*24 : id*24+24])
			if i := slices.Index([]int{60, 7, 8, 9}, id); i >= 0 {
				if slices.Equal(row, rows[i*24:i*24+24]) {
					t.Errorf("the row of token %d has not trained", id)
				}
				row = rows[i*24 : i*24+24]
			}
			if !slices.Equal(after[id*24:id*24+24], row) {
				t.Errorf("tied %t: the row of token %d is not its own", tied, id)
			}
		}
		if got := distance(logits(t, m, batch()), want); got > 1e-5 {
			t.Errorf("tied %t: merged the logits are off by %g", tied, got)
		}
		if ids := a.Tokens(); len(ids) != 1 || !slices.Equal(ids["model.embed_tokens"], []int32{60, 7, 8, 9}) {
			t.Errorf("tokens %v", ids)
		}
	}
}

// What does not spell rows is refused by what is wrong with it.
func TestTokensErrors(t *testing.T) {
	d := open(t, 1)
	tied := tiny(t, d).Config
	tied.Tied = true
	for _, c := range []struct {
		tied    bool
		tokens  []string
		targets string
		want    string
	}{
		{false, []string{"a"}, "q_proj", `field tokens: want token ids as 5 or 5-9, with lm_head: before them for rows of the head, at most 65536, got "a"`},
		{false, []string{"-5"}, "q_proj", `got "-5"`},
		{false, []string{"5-"}, "q_proj", `got "5-"`},
		{false, []string{"9-5"}, "q_proj", `got "9-5"`},
		{false, []string{"0-65536"}, "q_proj", `got "0-65536"`},
		{false, []string{"norm:5"}, "q_proj", `got "norm:5"`},
		{false, []string{"lm_head:"}, "q_proj", `got "lm_head:"`},
		{false, []string{"5-9", "7"}, "q_proj", "want each token once, got 7 of embed_tokens again"},
		{false, []string{"61"}, "q_proj", "want tokens of the model's, below 61, got 61 of model.embed_tokens"},
		{false, []string{"5"}, "embed_tokens", "want none of model.embed_tokens, which has modules beside it or trains in full"},
		{true, []string{"5"}, "lm_head", "want none of model.embed_tokens, which has modules beside it or trains in full"},
		{true, []string{"5", "lm_head:5"}, "q_proj", "want those of embed_tokens alone beside a model whose head is its embedding"},
	} {
		m := tiny(t, d)
		if c.tied {
			var err error
			if m, err = llama.New(d, tied, 7); err != nil {
				t.Fatal(err)
			}
		}
		cfg := loraForms()["tokens"]
		cfg.Tokens, cfg.Targets = c.tokens, []string{c.targets}
		if _, err := Attach(m, cfg, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.tokens, err, c.want)
		}
		untouched(t, m)
	}
}

// everyForm is all forms that stand elsewhere than in the blocks' layers alone, or compute more.
func everyForm() map[string]Config {
	forms := loraForms()
	for _, name := range []string{"ends", "ends-per-output"} {
		forms[name] = kinds()[name]
	}
	for name, cfg := range forms {
		cfg.Dropout = 0
		forms[name] = cfg
	}
	if testdevice.Name() != "cpu" { // where every kernel of another type is compiled first
		return map[string]Config{"dora": forms["dora"], "ends": forms["ends"]}
	}
	return forms
}

// gradients are those of all parameters that train, after one batch.
func gradients(t *testing.T, m *llama.Model) map[string][]float32 {
	t.Helper()
	tr := gather(t, m)
	tr.ZeroGrad()
	backward(t, m, batch(), 0)
	all := map[string][]float32{}
	for name, p := range nn.Params(m) {
		if p.Grad != nil {
			all[name] = read(t, p.Grad)
		}
	}
	return all
}

// Blocks that are computed again on the way back give the same gradients, bit for bit.
func TestFormsWithCheckpointing(t *testing.T) {
	for name, cfg := range everyForm() {
		m := biased(t)
		attach(t, m, cfg)
		trained(t, m, 3)
		want := gradients(t, m)
		m.Checkpointing = true
		got := gradients(t, m)
		if len(want) == 0 || len(got) != len(want) {
			t.Fatalf("%s: %d gradients, want %d", name, len(got), len(want))
		}
		for param, g := range want {
			if !slices.Equal(got[param], g) {
				t.Errorf("%s: the gradient of %s is off by %g", name, param, distance(got[param], g))
			}
		}
	}
}

// Tokens that are decoded one by one have the logits of the whole row, and the losses that the logits have.
func TestFormsDecode(t *testing.T) {
	for name, cfg := range everyForm() {
		m := biased(t)
		attach(t, m, cfg)
		trained(t, m, 3)
		b := batch()
		ids := b.IDs[:b.Len()]
		row := llama.Batch{Rows: 1, IDs: ids, Labels: b.Labels[:b.Len()]}
		want := logits(t, m, row)
		decoder := m.NewDecoder(1, len(ids))
		loss := 0.0
		for i, id := range ids {
			got, err := decoder.Step([][]int32{{id}})
			if err != nil {
				t.Fatal(err)
			}
			own := want[i*m.Config.Vocab : (i+1)*m.Config.Vocab]
			if e := distance(got[0], own); e > 1e-5 {
				t.Errorf("%s: the logits of token %d are off by %g", name, i, e)
			}
			sum := 0.0
			for _, v := range own {
				sum += math.Exp(float64(v))
			}
			loss += math.Log(sum) - float64(own[row.Labels[i]])
		}
		loss /= float64(len(ids))
		if got := float64(read(t, m.Loss(row, len(ids)).Tensor())[0]); math.Abs(got-loss) > 1e-5*loss {
			t.Errorf("%s: loss %g, want %g", name, got, loss)
		}
		sum := 0.0
		for _, v := range read(t, m.TokenLosses(row).Tensor()) {
			sum += float64(v)
		}
		if got := sum / float64(len(ids)); math.Abs(got-loss) > 1e-5*loss {
			t.Errorf("%s: loss by tokens %g, want %g", name, got, loss)
		}
	}
}

// Activations of 16 bits, and frozen weights of 8, compute about the same, and everything has a gradient.
func TestFormsInOtherTypes(t *testing.T) {
	for name, cfg := range everyForm() {
		for _, c := range []struct {
			weights, compute tensor.DType
			limit            float64
		}{
			{tensor.BF16, tensor.BF16, 0.1}, {tensor.F16, tensor.F16, 0.02}, {tensor.Q8, tensor.F32, 0.1},
			{tensor.Q8, tensor.BF16, 0.15},
		} {
			d := open(t, 2)
			plain, err := llama.New(d, blocks32(), 3)
			if err != nil {
				t.Fatal(err)
			}
			cfg := cfg
			cfg.Ranks = nil
			a := attach(t, plain, cfg)
			trained(t, plain, 3)
			want := logits(t, plain, batch())
			dir, base := t.TempDir(), t.TempDir()
			if err := a.Save(dir); err != nil {
				t.Fatal(err)
			}
			a.Detach()
			if err := plain.Save(base); err != nil {
				t.Fatal(err)
			}
			m, err := llama.Load(t.Context(), d, base, llama.LoadOptions{DType: c.weights, ComputeDType: c.compute})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Load(m, dir, Options{AnyBase: true}); err != nil {
				t.Fatal(err)
			}
			if e := distance(logits(t, m, batch()), want); !(e < c.limit) {
				t.Errorf("%s, %s in %s: the logits are off by %g", name, c.weights, c.compute, e)
			}
			for param, g := range gradients(t, m) {
				norm := 0.0
				for _, v := range g {
					norm += float64(v) * float64(v)
				}
				if !(norm > 0) || math.IsInf(norm, 0) {
					t.Errorf("%s, %s in %s: the gradient of %s has norm %g", name, c.weights, c.compute, param, norm)
				}
			}
		}
	}
}

// Beside weights as other programs have packed them every form begins as the base and trains, and the norms that DoRA
// divides by are those of what the weights are read as.
func TestFormsOnPackedWeights(t *testing.T) {
	for _, base := range []string{"llama-nf4", "llama-fp4", "llama-gptq", "qwen3-fp8", "qwen3_moe-nf4"} {
		for name, cfg := range everyForm() {
			d := open(t, 2)
			dir := filepath.Join(golden.Folder(t), base)
			m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{AsStored: true})
			if err != nil {
				t.Fatal(err)
			}
			before := logits(t, m, batch())
			if cfg.Ranks = nil; m.Head == nil {
				cfg.Tokens = slices.DeleteFunc(slices.Clone(cfg.Tokens), func(s string) bool {
					return strings.HasPrefix(s, headModule)
				})
			}
			a := attach(t, m, cfg)
			if got := distance(logits(t, m, batch()), before); got > 1e-5 {
				t.Errorf("%s on %s begins %g away from the base", name, base, got)
			}
			for _, l := range a.layers {
				if cfg.Method != MethodDoRA {
					break
				}
				w := l.base.Weight.Value
				got, values := read(t, l.linear.norms().Tensor()), read(t, w)
				for o := range w.Dim(0) {
					sum := 0.0
					for _, v := range values[o*w.Dim(1) : (o+1)*w.Dim(1)] {
						sum += float64(v) * float64(v)
					}
					if want := math.Sqrt(sum); math.Abs(float64(got[o])-want) > 1e-5*want {
						t.Fatalf("%s: %s row %d has norm %g, want %g", base, l.name, o, got[o], want)
					}
				}
			}
			loss := func() float32 { return read(t, m.Loss(batch(), batch().Counted()).Tensor())[0] }
			first := loss()
			trained(t, m, 3)
			if last := loss(); !(last < first) {
				t.Errorf("%s on %s: the loss went from %g to %g", name, base, first, last)
			}
		}
	}
}

// A layer with modules adds a residual as any other does, whatever the modules are.
func TestForwardPlusIsTheSum(t *testing.T) {
	forms := loraForms()
	delete(forms, "tokens")
	forms["scalar"] = kinds()["scalar"]
	for name, cfg := range forms {
		t.Run(name, func(t *testing.T) {
			m := tiny(t, open(t, 2))
			attach(t, m, cfg)
			trained(t, m, 3)
			l := m.Blocks[0].Attention.O.(*Linear)
			weights := nn.NewInitializer(m.Device(), 3)
			x, plus := weights.Normal(1, 2, 3, 24).Var(), weights.Normal(1, 2, 3, 24).Var()
			got, want := read(t, l.ForwardPlus(plus, x).Tensor()), read(t, ops.Add(plus, l.Forward(x)).Tensor())
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-5 {
					t.Fatalf("element %d is %g, want %g", i, got[i], want[i])
				}
			}
		})
	}
}
