package multilora

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// deltas are the changes of all layers that an adapter makes, row-major.
func deltas(t *testing.T, a *Adapter) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, l := range a.layers {
		b, lora := read(t, l.linear.scaledB()), read(t, l.linear.A.Value)
		out, in := l.linear.B.Value.Dim(0), l.linear.A.Value.Dim(1)
		rank := l.linear.A.Value.Dim(0)
		w := make([]float32, out*in)
		for o := range out {
			for i := range in {
				sum := 0.0
				for r := range rank {
					sum += float64(b[o*rank+r]) * float64(lora[r*in+i])
				}
				w[o*in+i] = float32(sum)
			}
		}
		all[l.name] = w
	}
	return all
}

// Three adapters of other methods, ranks and layers become modules of one, which begins as their mean
// and trains nothing but how loud each is.
func TestBranches(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	var paths []string
	var want []map[string][]float32
	for i, cfg := range []Config{
		{Method: MethodLoRA, Modules: 1, Rank: 3, Alpha: 6, Scaling: ScalingScalar,
			Targets: []string{"q_proj", "down_proj"}},
		{Method: MethodMultiLoRA, Modules: 2, Rank: 2, Alpha: 2, Scaling: ScalingPerOutput,
			Targets: []string{AllLinear}},
		{Method: MethodRSLoRA, Modules: 1, Rank: 5, Alpha: 4, Scaling: ScalingScalar, Targets: []string{"v_proj"}},
	} {
		a := attach(t, m, cfg)
		trained(t, m, 3+i)
		dir := filepath.Join(t.TempDir(), "adapter")
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		want = append(want, deltas(t, a))
		a.Detach()
		paths = append(paths, dir)
	}
	for _, scaling := range []Scaling{ScalingScalar, ScalingPerOutput} {
		a, err := AttachBranches(m, paths, scaling, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := deltas(t, a)
		if len(got) != 14 {
			t.Fatalf("%d layers, want all 14", len(got))
		}
		for layer, w := range got {
			for i := range w {
				mean := 0.0
				for _, b := range want {
					if b[layer] != nil {
						mean += float64(b[layer][i]) / 3
					}
				}
				if math.Abs(float64(w[i])-mean) > 1e-6 {
					t.Fatalf("%s: element %d changes by %v, want the mean %v", layer, i, w[i], mean)
				}
			}
		}
		if err := a.TrainScalings(); err != nil {
			t.Fatal(err)
		}
		for name := range gather(t, m).Params() {
			if !strings.HasSuffix(name, ".s") {
				t.Errorf("%s trains", name)
			}
		}
		first := a.layers[0].linear
		down, scales := read(t, first.A.Value), read(t, first.S.Value)
		trained(t, m, 2)
		if !slices.Equal(read(t, first.A.Value), down) || slices.Equal(read(t, first.S.Value), scales) {
			t.Error("want the scales to have moved, and nothing else")
		}
		before := logits(t, m, batch())
		dir := filepath.Join(t.TempDir(), "joined")
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		a.Detach()
		again, err := Load(m, dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := distance(before, logits(t, m, batch())); diff > 1e-6 {
			t.Errorf("saved and loaded again the logits differ by %v", diff)
		}
		again.Detach()
	}
}

func TestBranchesRefuse(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	a := attach(t, m, Config{Method: MethodLoRA, Modules: 1, Rank: 2, Alpha: 2, Scaling: ScalingScalar,
		Targets: []string{"q_proj"}, Extra: []string{"norm"}})
	dir := filepath.Join(t.TempDir(), "extra")
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := a.TrainScalings(); err == nil || !strings.Contains(err.Error(), "got method lora") {
		t.Errorf("the scalings of a LoRA: %v", err)
	}
	a.Detach()
	for want, paths := range map[string][]string{
		"want at least one adapter, got none": nil,
		"no such file":                        {filepath.Join(dir, "none")},
		"want low-rank modules alone":         {dir},
	} {
		if _, err := AttachBranches(m, paths, ScalingScalar, Options{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", paths, err, want)
		}
	}
	if _, ok := any(m.Blocks[0].Attention.Q).(*Linear); ok {
		t.Error("a refused branch was left in the model")
	}
}

// With StartZeroB the model begins as its base; A and B are LoRA's, so that B alone has a gradient at
// first, and the gain is learned from the second step on.
func TestStartZeroB(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	base := logits(t, m, batch())
	cfg := Config{Method: MethodMultiLoRA, Modules: 1, Rank: 4, Alpha: 4, Scaling: ScalingScalar, Start: StartZeroB,
		Targets: []string{AllLinear}}
	a := attach(t, m, cfg)
	if diff := distance(base, logits(t, m, batch())); diff != 0 {
		t.Errorf("begins %v beside its base", diff)
	}
	lora := Config{Method: MethodLoRA, Modules: 1, Rank: 4, Alpha: 4, Scaling: ScalingScalar,
		Targets: []string{AllLinear}}
	other := attach(t, tiny(t, d), lora)
	first, second := a.layers[0].linear, other.layers[0].linear
	if !slices.Equal(read(t, first.A.Value), read(t, second.A.Value)) ||
		!slices.Equal(read(t, first.B.Value), read(t, second.B.Value)) {
		t.Error("A and B do not begin as LoRA's")
	}
	if s := read(t, first.S.Value); !slices.Equal(s, []float32{1}) {
		t.Errorf("s begins as %v, want 1", s)
	}
	params := gather(t, m).Params()
	backward(t, m, batch(), 0)
	for name, p := range params {
		zero := p.Grad == nil || slices.Max(read(t, p.Grad)) == 0 && slices.Min(read(t, p.Grad)) == 0
		if want := !strings.HasSuffix(name, ".B"); zero != want {
			t.Errorf("%s: gradient 0 is %v at first, want %v", name, zero, want)
		}
	}
	trained(t, m, 4)
	if s := read(t, first.S.Value); s[0] == 1 {
		t.Error("the gain has not moved")
	}
	dir := t.TempDir()
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := ReadInfo(dir); err != nil || info.Start != StartZeroB {
		t.Errorf("saved it starts %q, %v", info.Start, err)
	}
	lora.Start = StartZeroB
	if err := lora.Validate(); err == nil || !strings.Contains(err.Error(), "field start") {
		t.Errorf("LoRA that starts zero-b: %v", err)
	}
}
