package multilora

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// several is a set of one trained adapter of each kind, under the kind's name.
func several(t *testing.T, m *llama.Model) *Set {
	t.Helper()
	set := NewSet(m)
	for name, cfg := range kinds() {
		cfg.Dropout = 0
		a := attach(t, m, cfg)
		trained(t, m, 6)
		if err := set.Add(name, a); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// rowsOf is a batch of so many rows of 9 tokens, all different.
func rowsOf(rows int) llama.Batch {
	b := randomBatch(9 * rows)
	b.Rows = rows
	b.IDs, b.Labels = b.IDs[:9*rows], b.Labels[:9*rows]
	return b
}

func row(b llama.Batch, i int) llama.Batch {
	return llama.Batch{Rows: 1, IDs: b.IDs[9*i : 9*i+9], Labels: b.Labels[9*i : 9*i+9]}
}

// A batch whose rows have adapters of their own computes what each row does with its
// adapter alone; names may come several times and in any order.
func TestMixedBatchIsSeparateRuns(t *testing.T) {
	m := tiny(t, open(t, 2))
	set := several(t, m)
	base := logits(t, m, row(rowsOf(1), 0))
	for _, names := range [][]string{
		{"scalar"},
		{"", ""},
		{"lora", "", "per-output", "per-output", "scalar", "lora", "rslora"},
		{"", "scalar", "scalar", ""},
	} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			b := rowsOf(len(names))
			if err := set.UseRows(names...); err != nil {
				t.Fatal(err)
			}
			mixed := logits(t, m, b)
			for i, name := range names {
				if err := set.Use(name); err != nil {
					t.Fatal(err)
				}
				want := logits(t, m, row(b, i))
				if e := distance(mixed[i*len(want):(i+1)*len(want)], want); e > 1e-5 {
					t.Errorf("row %d, adapter %q: the logits are off by %g", i, name, e)
				}
				if name != "" && i == 0 {
					far(t, want, base)
				}
			}
		})
	}
	set.Detach()
	if got := logits(t, m, row(rowsOf(1), 0)); !slices.Equal(got, base) {
		t.Error("detached, the model is not its base")
	}
}

// Trained in one batch, every adapter gets the gradients that its rows give it alone.
func TestMixedBatchTrains(t *testing.T) {
	m := tiny(t, open(t, 2))
	set := several(t, m)
	names := []string{"scalar", "", "lora", "scalar", "per-output"}
	b := rowsOf(len(names))
	if err := set.UseRows(names...); err != nil {
		t.Fatal(err)
	}
	params := maps.Collect(gather(t, m).Params())
	if name := "model.layers.0.self_attn.q_proj.adapters.0.A"; params[name] == nil {
		t.Errorf("no parameter %s", name)
	}
	loss := backward(t, m, b, 0)
	mixed := map[string][]float32{}
	each := func(name string, f func(key string, p *nn.Param)) {
		for _, l := range set.Adapter(name).layers {
			for part, p := range map[string]*nn.Param{"A": l.linear.A, "B": l.linear.B, "s": l.linear.S} {
				if p != nil {
					f(name+" "+l.name+"."+part, p)
				}
			}
		}
	}
	used := []string{"scalar", "lora", "per-output"}
	for _, name := range used {
		each(name, func(key string, p *nn.Param) { mixed[key] = read(t, p.Grad) })
	}
	// Alone, a row's gradients are of the mean over its own labels.
	separate, counted := 0.0, b.Counted()
	sums := map[string][]float32{}
	for i, name := range names {
		if err := set.Use(name); err != nil {
			t.Fatal(err)
		}
		part := row(b, i)
		share := float32(part.Counted()) / float32(counted)
		if name == "" {
			scope := m.Device().Scope()
			separate += float64(read(t, m.Loss(part, part.Counted()).Tensor())[0] * share)
			scope.Close()
			continue
		}
		gather(t, m).ZeroGrad()
		separate += backward(t, m, part, 0) * float64(share)
		each(name, func(key string, p *nn.Param) {
			sums[key] = append(sums[key], make([]float32, p.Grad.Numel()-len(sums[key]))...)
			for j, g := range read(t, p.Grad) {
				sums[key][j] += g * share
			}
		})
	}
	if d := math.Abs(loss/separate - 1); !(d < 1e-5) {
		t.Errorf("the loss is %g, the separate rows' %g", loss, separate)
	}
	if len(sums) != len(mixed) {
		t.Errorf("%d gradients, %d of separate rows", len(mixed), len(sums))
	}
	for key, want := range sums {
		if e := distance(mixed[key], want); !(e < 1e-4) {
			t.Errorf("%s: the gradient differs from its rows' by %g", key, e)
		}
	}
}

// Texts continued together, each with its adapter, are those continued alone.
func TestMixedGeneration(t *testing.T) {
	m := tiny(t, open(t, 2))
	set := several(t, m)
	names := []string{"rslora", "scalar", ""}
	prompts := [][]int32{{1, 2, 3}, {4, 5, 6, 7, 8}, {9}}
	options := llama.GenerateOptions{MaxTokens: 12}
	if err := set.UseRows(names...); err != nil {
		t.Fatal(err)
	}
	together := make([][]int32, len(prompts))
	for next, err := range m.GenerateBatch(t.Context(), prompts, options) {
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range next {
			together[i] = append(together[i], id)
		}
	}
	for i, name := range names {
		if err := set.Use(name); err != nil {
			t.Fatal(err)
		}
		var alone []int32
		for id, err := range m.Generate(t.Context(), prompts[i], options) {
			if err != nil {
				t.Fatal(err)
			}
			alone = append(alone, id)
		}
		if !slices.Equal(together[i], alone) {
			t.Errorf("%q continues %v, alone %v", name, together[i], alone)
		}
	}
}

// A set loads adapters in every form beside each other.
func TestSetLoads(t *testing.T) {
	d := open(t, 2)
	m := tiny(t, d)
	cfg := kinds()["lora"]
	a := attach(t, m, cfg)
	trained(t, m, 6)
	want := logits(t, m, batch())
	dir := t.TempDir()
	for form, save := range map[string]func(string) error{
		"native": a.Save, "peft": a.SavePEFT, "gguf": func(path string) error { return a.SaveGGUF(path, m.Config) },
	} {
		if err := save(filepath.Join(dir, form)); err != nil {
			t.Fatal(err)
		}
	}
	fresh := tiny(t, d)
	set := NewSet(fresh)
	for _, form := range []string{"native", "peft", "gguf"} {
		if err := set.Load(form, filepath.Join(dir, form), Options{}); err != nil {
			t.Fatal(err)
		}
		if err := set.UseRows(form, form); err != nil { // which Load must undo
			t.Fatal(err)
		}
	}
	for _, form := range set.Names() {
		if err := set.Use(form); err != nil {
			t.Fatal(err)
		}
		if got := logits(t, fresh, batch()); !slices.Equal(got, want) {
			t.Errorf("%s: the logits are off by %g", form, distance(got, want))
		}
	}
	set.Remove("peft")
	if got := set.Names(); !slices.Equal(got, []string{"gguf", "native"}) {
		t.Errorf("without peft there are %v", got)
	}
}

func TestSetErrors(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	set := several(t, m)
	other := tiny(t, d)
	stranger := attach(t, other, kinds()["lora"])
	loose := attach(t, m, kinds()["lora"]) // of the model, not of the set
	for _, c := range []struct {
		err  error
		want string
	}{
		{set.Use("french"), `adapter "french": want one of ["ends" "ends-per-output" "ends-rslora" "lora" "many-ranks" "per-output" "rslora" "scalar"], or "" for the base`},
		{set.UseRows("lora", "french"), `adapter "french": want one of`},
		{set.UseRows(), "want a name for each row"},
		{set.UseRows("", "ends"), `adapter "ends": want an adapter of the layers in a model's blocks, got one of model.embed_tokens`},
		{set.UseRows("lora"), "layer model.layers.0.self_attn.q_proj holds a *multilora.Linear: Detach it first"},
		{set.Use("scalar"), "layer model.layers.0.self_attn.q_proj holds a *multilora.Linear: Detach it first"},
		{set.Add("lora", stranger), `adding an adapter as "lora": want a name that is not empty and not taken`},
		{set.Add("", stranger), "want a name that is not empty"},
		{set.Add("stranger", stranger), "its layer model.layers.0.self_attn.q_proj belongs to another model"},
		{set.Load("none", filepath.Join(t.TempDir(), "none"), Options{}), "no such file"},
		{set.Load("empty", t.TempDir(), Options{}),
			"want adapter.json or adapter_config.json in the folder, got neither"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("got error %v, want %q", c.err, c.want)
		}
	}
	loose.Detach()
	if err := set.UseRows("lora", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(m, kinds()["lora"], 1); err == nil || !strings.Contains(err.Error(), "has an adapter already") {
		t.Errorf("another adapter beside rows' own: error %v", err)
	}
	err := tensor.Catch(func() { logits(t, m, rowsOf(3)) })
	if err == nil || !strings.Contains(err.Error(), "a batch of 3 rows") ||
		!strings.Contains(err.Error(), "UseRows named adapters for 2") {
		t.Errorf("three rows for two names: error %v", err)
	}
}

// Over weights in q8, which cannot be merged into, rows have their own adapters as well.
func TestMixedBatchOverQ8(t *testing.T) {
	m, err := llama.Load(t.Context(), open(t, 2), filepath.Join(golden.Folder(t), "llama-gqa"),
		llama.LoadOptions{DType: tensor.Q8})
	if err != nil {
		t.Fatal(err)
	}
	set := NewSet(m)
	for _, name := range []string{"scalar", "lora"} {
		cfg := kinds()[name]
		cfg.Dropout = 0
		a := attach(t, m, cfg)
		trained(t, m, 4)
		if err := set.Add(name, a); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"lora", "", "scalar"}
	b := rowsOf(len(names))
	if err := set.UseRows(names...); err != nil {
		t.Fatal(err)
	}
	mixed := logits(t, m, b)
	for i, name := range names {
		if err := set.Use(name); err != nil {
			t.Fatal(err)
		}
		want := logits(t, m, row(b, i))
		if e := distance(mixed[i*len(want):(i+1)*len(want)], want); e > 1e-5 {
			t.Errorf("row %d, adapter %q: the logits are off by %g", i, name, e)
		}
	}
	_, err = set.Adapter("lora").Merge()
	if want := "merging layer model.layers.0.self_attn.q_proj: want a weight in f32, f16 or bf16, got q8[64 64]"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("merging into q8: error %v, want %q", err, want)
	}
}
