package multilora

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// An adapter begins as its base, bit for bit; only s has a gradient (of LoRA: only B).
func TestBeginsAsTheBase(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		m := tiny(t, open(t, 2))
		want := logits(t, m, batch())
		a := attach(t, m, cfg)
		if got := logits(t, m, batch()); !slices.Equal(got, want) {
			t.Errorf("the logits have changed by %g", distance(got, want))
		}
		gather(t, m)
		backward(t, m, batch(), 0)
		for _, l := range a.layers {
			moves := map[string]*nn.Param{"A": l.linear.A, "B": l.linear.B, "s": l.linear.S}
			alive := "s"
			if cfg.Method != MethodMultiLoRA {
				alive = "B"
				delete(moves, "s")
			}
			for name, p := range moves {
				still := !slices.ContainsFunc(read(t, p.Grad), func(g float32) bool { return g != 0 })
				if still != (name != alive) {
					t.Errorf("%s.%s: gradient all zero: %v, want %v", l.name, name, still, name != alive)
				}
			}
		}
	})
}

func TestOnlyTheAdapterTrains(t *testing.T) {
	m := tiny(t, open(t, 1))
	before := read(t, m.Embedding.Weight.Value)
	attach(t, m, kinds()["scalar"])
	for name := range gather(t, m).Params() {
		if part := name[strings.LastIndex(name, ".")+1:]; part != "A" && part != "B" && part != "s" {
			t.Errorf("%s trains", name)
		}
	}
	trained(t, m, 2)
	if !slices.Equal(read(t, m.Embedding.Weight.Value), before) {
		t.Error("the embedding has moved")
	}
	m.Norm.Weight.Frozen = false
	found := false
	for name := range gather(t, m).Params() {
		found = found || name == "model.norm.weight"
	}
	if !found {
		t.Error("model.norm.weight was asked to train beside the adapter and does not")
	}
}

// The initial values: bounds, spread, and that nothing but seed and name decides.
func TestInitialValues(t *testing.T) {
	d := open(t, 1)
	cfg := kinds()["scalar"]
	a := attach(t, tiny(t, d), cfg)
	for _, l := range a.layers {
		out, in := l.base.Weight.Value.Dim(0), l.base.Weight.Value.Dim(1)
		ms, err := l.linear.read()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			spread(t, l.name+".A", m.a, cfg.Rank*in, 1/math.Sqrt(float64(in)))
			spread(t, l.name+".B", m.b, out*cfg.Rank, 1/math.Sqrt(float64(cfg.Rank)))
			if !slices.Equal(m.s, []float32{0}) {
				t.Errorf("%s.s begins as %v", l.name, m.s)
			}
		}
		if slices.Equal(ms[0].a, ms[1].a) {
			t.Errorf("%s: two modules are the same", l.name)
		}
	}
	fewer := cfg
	fewer.Modules, fewer.Targets = 1, []string{"v_proj"}
	part := attach(t, tiny(t, d), fewer)
	for _, l := range part.layers {
		whole, err := a.find(l.name)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := whole.read()
		got, err := l.linear.read()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[0].a, first[0].a) || !slices.Equal(got[0].b, first[0].b) {
			t.Errorf("%s: other layers or modules decide how it begins", l.name)
		}
	}
	other, err := Attach(tiny(t, d), cfg, 2)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(read(t, other.layers[0].linear.A.Value), read(t, a.layers[0].linear.A.Value)) {
		t.Error("two seeds begin alike")
	}
}

// spread checks n uniform numbers within a bound: none beyond, and the variance.
func spread(t *testing.T, name string, x []float32, n int, bound float64) {
	t.Helper()
	squares := 0.0
	for _, v := range x {
		if math.Abs(float64(v)) > bound {
			t.Errorf("%s: %g beyond %g", name, v, bound)
			return
		}
		squares += float64(v) * float64(v)
	}
	// The square of a uniform number has 0.9 of its mean as standard deviation.
	if variance := squares / float64(n) / (bound * bound / 3); len(x) != n ||
		math.Abs(variance-1) > 4*0.9/math.Sqrt(float64(n)) {
		t.Errorf("%s: %d numbers with %.2g of a uniform distribution's variance, want %d", name, len(x), variance, n)
	}
}

func TestDetachAndAttachAgain(t *testing.T) {
	m := tiny(t, open(t, 1))
	base := logits(t, m, batch())
	first := attach(t, m, kinds()["scalar"])
	trained(t, m, 3)
	adapted := logits(t, m, batch())
	if _, err := Attach(m, kinds()["lora"], 1); err == nil ||
		!strings.Contains(err.Error(), "model.layers.0.self_attn.q_proj has an adapter already") {
		t.Errorf("a second adapter: error %v", err)
	}
	first.Detach()
	if got := logits(t, m, batch()); !slices.Equal(got, base) {
		t.Error("detached, the model is not its base")
	}
	second := attach(t, m, kinds()["per-output"])
	if err := first.Attach(); err == nil || !strings.Contains(err.Error(), "q_proj holds a *multilora.Linear") {
		t.Errorf("attached over another: error %v", err)
	}
	second.Detach()
	if err := first.Attach(); err != nil {
		t.Fatal(err)
	}
	if got := logits(t, m, batch()); !slices.Equal(got, adapted) {
		t.Error("attached again, the model computes something else")
	}
}

// far makes sure that an adapter does something worth comparing.
func far(t *testing.T, adapted, base []float32) {
	t.Helper()
	if d := distance(adapted, base); d < 0.1 {
		t.Errorf("the adapter's logits differ from the base's by %.3g, want at least 0.1", d)
	}
}

func TestMergedIsTheAdapter(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		m := tiny(t, open(t, 2))
		base := logits(t, m, batch())
		a := attach(t, m, cfg)
		trained(t, m, 12)
		want := logits(t, m, batch())
		far(t, want, base)
		report, err := a.Merge()
		if err != nil {
			t.Fatal(err)
		}
		if got := distance(logits(t, m, batch()), want); got > 1e-4 {
			t.Errorf("merged logits are off by %g, want at most 1e-4", got)
		}
		if len(report) != len(a.Layers()) {
			t.Fatalf("%d layers reported, want %d", len(report), len(a.Layers()))
		}
		for i, r := range report {
			if r.Layer != a.Layers()[i] || !(r.Change > 0.001 && r.Change < 10) || r.Lost != 0 {
				t.Errorf("report %+v of layer %s, whose change in f32 loses nothing", r, a.Layers()[i])
			}
		}
	})
}

// 16-bit weights lose some of the change, and the report says how much.
func TestMergeInto16Bits(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F16} {
		d := open(t, 2)
		base := &nn.Linear{Weight: nn.NewInitializer(d, 5).Uniform(0.3, 19, 31)}
		base.Weight.Value = d.FromFloat32s(dt, read(t, base.Weight.Value), 19, 31)
		m := &nn.Sequential{base}
		cfg := kinds()["scalar"]
		a := attach(t, m, cfg)
		l := a.layers[0].linear
		l.S.Value.SetFloat32s([]float32{0.05, -0.02, 0.01})
		before := read(t, base.Weight.Value)
		delta, err := a.Delta("0")
		if err != nil {
			t.Fatal(err)
		}
		report, err := a.Merge()
		if err != nil {
			t.Fatal(err)
		}
		var changed, original, lost float64
		for i, w := range read(t, base.Weight.Value) {
			want := delta.At(i/31, i%31) + float64(before[i])
			if rounded := read(t, d.FromFloat32s(dt, []float32{float32(want)},
				1))[0]; math.Abs(float64(rounded-w)) > math.Abs(want)/100 {
				t.Fatalf("%s weight %d is %g, want %g", dt, i, w, rounded)
			}
			lost += math.Pow(float64(w)-want, 2)
			changed += math.Pow(delta.At(i/31, i%31), 2)
			original += math.Pow(float64(before[i]), 2)
		}
		change, part := math.Sqrt(changed/original), math.Sqrt(lost/changed)
		if r := report[0]; math.Abs(r.Change-change) > 1e-4*change || math.Abs(r.Lost-part) > 1e-2*part || part < 1e-4 {
			t.Errorf("%s: report %+v, want change %g, lost %g", dt, r, change, part)
		}
		if (*m)[0] != nn.Layer(base) {
			t.Error("the adapter is still attached")
		}
	}
}

func TestFoldedIsTheAdapter(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		m := tiny(t, open(t, 2))
		base := logits(t, m, batch())
		a := attach(t, m, cfg)
		trained(t, m, 12)
		want := logits(t, m, batch())
		far(t, want, base)
		f, err := a.Fold()
		if err != nil {
			t.Fatal(err)
		}
		a.Detach()
		if err := f.Attach(); err != nil {
			t.Fatal(err)
		}
		if got := distance(logits(t, m, batch()), want); got > 1e-5 {
			t.Errorf("folded logits are off by %g, want at most 1e-5", got)
		}
		if c := f.Config(); c.Method != MethodLoRA || c.Modules != 1 || c.Rank != cfg.Modules*cfg.Rank ||
			c.Alpha != float64(c.Rank) || c.Validate() != nil {
			t.Errorf("folded into %+v", c)
		}
		// It is a LoRA like any other: what it saves loads.
		dir := t.TempDir()
		if err := f.Save(dir); err != nil {
			t.Fatal(err)
		}
		f.Detach()
		if _, err := Load(m, dir, Options{}); err != nil {
			t.Fatal(err)
		}
		if got := distance(logits(t, m, batch()), want); got > 1e-5 {
			t.Errorf("loaded folded logits are off by %g", got)
		}
	})
}

func TestTargets(t *testing.T) {
	d := open(t, 1)
	for _, c := range []struct {
		targets []string
		layers  int
		err     string
	}{
		{[]string{AllLinear}, 14, ""},
		{[]string{"q_proj", "v_proj"}, 4, ""},
		{[]string{"self_attn.q_proj"}, 2, ""},
		{[]string{"model.layers.1.mlp.up_proj"}, 1, ""},
		{[]string{"model.layers.0.*"}, 7, ""},
		{[]string{"*_proj", "q_proj"}, 14, ""},
		{[]string{"proj"}, 0, `"proj" matches no layer of the model, which has embed_tokens, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head`},
		{[]string{"q_proj", "w1"}, 0, `"w1" matches no layer`},
		{[]string{"lm_head"}, 1, ""},
		{[]string{"q_proj", "lm_head"}, 3, ""},
		{[]string{"q_proj", "lm_*"}, 0, `"lm_*": want the embedding and the head by their names, got a pattern of lm_head`},
		{[]string{"embed_tokens", AllLinear}, 15, ""},
		{[]string{"model.embed_tokens"}, 1, ""},
		{[]string{"input_layernorm"}, 0, `"input_layernorm": input_layernorm as a LoRA layer is not supported, it can train in full only (modules_to_save, --train-also): want layers of the model, which has embed_tokens, q_proj`},
		{[]string{"*"}, 14, ""},
		{[]string{"[q"}, 0, `"[q": syntax error`},
	} {
		cfg := kinds()["scalar"]
		cfg.Targets = c.targets
		m := tiny(t, d)
		a, err := Attach(m, cfg, 1)
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%v: error %v, want %q", c.targets, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("%v: %v", c.targets, err)
		case c.err == "" && len(a.Layers()) != c.layers:
			t.Errorf("%v: adapted %v, want %d layers", c.targets, a.Layers(), c.layers)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Method = "loha" }, `field method: want multilora, lora, rslora or dora, got "loha"`},
		{func(c *Config) { c.Method = MethodLoRA }, "field modules: want 1 with method lora, got 3"},
		{func(c *Config) { c.Method, c.Modules, c.Scaling = MethodRSLoRA, 1, ScalingPerOutput },
			`field scaling: want scalar with method rslora, got "per-output"`},
		{func(c *Config) { c.Modules = 0 }, "field modules: want 1 to 65536, got 0"},
		{func(c *Config) { c.Rank = 0 }, "field rank: want 1 to 21845 with 3 modules, got 0"},
		{func(c *Config) { c.Rank = 1 << 40 }, "field rank: want 1 to 21845 with 3 modules, got 1099511627776"},
		{func(c *Config) { c.Alpha = math.NaN() }, "field alpha: want a positive number, got NaN"},
		{func(c *Config) { c.Scaling = "vector" }, `field scaling: want scalar or per-output, got "vector"`},
		{func(c *Config) { c.Dropout = 1 }, "field dropout: want at least 0 and below 1, got 1"},
		{func(c *Config) { c.Ranks = map[string]int{"a": 4, "b": 0} },
			`field ranks: layer "b": want 1 to 21845 with 3 modules, got 0`},
		{func(c *Config) { c.Alphas = map[string]float64{"a": -1} },
			`field alphas: layer "a": want a positive number, got -1`},
		{func(c *Config) { c.Targets = nil }, "field targets: want at least one, got none"},
	} {
		cfg := Defaults()
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want %q", err, c.want)
		}
	}
}

// A rank or alpha of a layer that is not adapted is a mistake.
func TestRanksOfLayersWithoutModules(t *testing.T) {
	cfg := manyRanks(MethodLoRA)
	cfg.Targets = []string{"q_proj", "v_proj"}
	_, err := Attach(tiny(t, open(t, 1)), cfg, 1)
	if want := `fields ranks and alphas: want names of layers that targets chooses, got "model.layers.1.mlp.down_proj"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestScale(t *testing.T) {
	cfg := Config{Method: MethodLoRA, Rank: 16, Alpha: 8}
	if got := cfg.Scale(); got != 0.5 {
		t.Errorf("LoRA: %g, want alpha / r = 0.5", got)
	}
	if cfg.Method = MethodRSLoRA; cfg.Scale() != 2 {
		t.Errorf("rsLoRA: %g, want alpha / sqrt(r) = 2", cfg.Scale())
	}
}
