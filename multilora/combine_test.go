package multilora

import (
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn/llama"
)

// different are trained adapters of one model, of different methods, ranks and targets.
func different(t *testing.T) (*llama.Model, []*Adapter) {
	t.Helper()
	m := tiny(t, open(t, 2))
	var all []*Adapter
	for i, kind := range []string{"scalar", "lora", "rslora", "many-ranks"} {
		cfg := kinds()[kind]
		if kind == "rslora" {
			cfg.Targets, cfg.Rank = []string{"v_proj", "down_proj"}, 3
		}
		a, err := Attach(m, cfg, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		trained(t, m, 3)
		a.Detach()
		all = append(all, a)
	}
	return m, all
}

// changesOf are the changes of a layer by those adapters that adapt it.
func changesOf(t *testing.T, layer string, all []*Adapter, weights []float64) (deltas [][]float64, own []float64) {
	t.Helper()
	for i, a := range all {
		if !slices.Contains(a.Layers(), layer) {
			continue
		}
		d, err := a.Delta(layer)
		if err != nil {
			t.Fatal(err)
		}
		deltas, own = append(deltas, d.Data), append(own, weights[i])
	}
	return deltas, own
}

func combine(t *testing.T, all []*Adapter, o CombineOptions) (*Adapter, []Combined) {
	t.Helper()
	c, report, err := Combine(all, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, report
}

// sameDeltas compares the changes of every layer with a formula.
func sameDeltas(t *testing.T, what string, c *Adapter, want func(layer string) []float64) {
	t.Helper()
	for _, layer := range c.Layers() {
		got, err := c.Delta(layer)
		if err != nil {
			t.Fatal(err)
		}
		diff, norm := 0.0, 0.0
		for i, w := range want(layer) {
			diff, norm = diff+(got.Data[i]-w)*(got.Data[i]-w), norm+w*w
		}
		if !(diff <= 1e-12*norm) || norm == 0 {
			t.Errorf("%s: %s is off by %g of %g", what, layer, math.Sqrt(diff), math.Sqrt(norm))
		}
	}
}

// weighted is Σ w_i ΔW_i.
func weighted(deltas [][]float64, weights []float64) []float64 {
	x := make([]float64, len(deltas[0]))
	for i, d := range deltas {
		for k, v := range d {
			x[k] += weights[i] * v
		}
	}
	return x
}

// trimmed is TIES' first step, by ranks: the element stays if fewer than keep are larger.
func trimmed(d []float64, density float64) []float64 {
	order := make([]int, len(d))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return math.Abs(d[order[i]]) > math.Abs(d[order[j]]) })
	x := make([]float64, len(d))
	for _, i := range order[:int(density*float64(len(d)))] {
		x[i] = d[i]
	}
	return x
}

// elected is the rest of TIES: for each element the sign of the sum, and the mean of those that have it.
func elected(deltas [][]float64, weights []float64) []float64 {
	x := make([]float64, len(deltas[0]))
	for k := range x {
		total := 0.0
		for _, d := range deltas {
			total += d[k]
		}
		sign, n := math.Copysign(1, total), 0.0
		for i, d := range deltas {
			if d[k] != 0 && math.Copysign(1, d[k]) == sign {
				x[k] += weights[i] * d[k]
				n++
			}
		}
		if n > 0 {
			x[k] /= n
		}
	}
	return x
}

func TestCombineIsItsFormula(t *testing.T) {
	m, all := different(t)
	weights := []float64{1, 0.5, -0.75, 2}
	const whole = 40 // a rank that cuts nothing

	c, report := combine(t, all, CombineOptions{Method: CombineCat, Weights: weights})
	sameDeltas(t, "cat", c, func(layer string) []float64 { return weighted(changesOf(t, layer, all, weights)) })
	if q := report[0]; q.Layer != "model.layers.0.self_attn.q_proj" || q.Rank != 6+6+2*2 || q.Lost != 0 {
		t.Errorf("cat: %+v, want the ranks' sum", q) // rslora does not adapt it
	}
	c, _ = combine(t, all, CombineOptions{Method: CombineSVD, Weights: weights, Rank: whole})
	sameDeltas(t, "svd", c, func(layer string) []float64 { return weighted(changesOf(t, layer, all, weights)) })
	c, _ = combine(t, all, CombineOptions{Method: CombineTIES, Weights: weights, Rank: whole, Density: 0.3})
	sameDeltas(t, "ties", c, func(layer string) []float64 {
		changes, own := changesOf(t, layer, all, weights)
		for i := range changes {
			changes[i] = trimmed(changes[i], 0.3)
		}
		return elected(changes, own)
	})

	// What DARE keeps of each alone, by weights that leave it alone.
	o := CombineOptions{Method: CombineDARELinear, Rank: whole, Density: 0.4, Seed: 3}
	dropped := map[string][][]float64{}
	for i, a := range all {
		alone := make([]float64, len(all))
		alone[i] = 1
		o.Weights = alone
		c, _ := combine(t, all, o)
		for _, layer := range a.Layers() {
			own, err := a.Delta(layer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Delta(layer)
			if err != nil {
				t.Fatal(err)
			}
			kept, largest := 0.0, 0.0
			for _, v := range own.Data {
				largest = max(largest, math.Abs(v))
			}
			for k, v := range own.Data {
				g, off := got.Data[k], math.Abs(got.Data[k]-v/0.4)
				if min(math.Abs(g), off) > 1e-5*largest {
					t.Fatalf("dare: %s[%d] of %g is %g, want 0 or that over 0.4", layer, k, v, g)
				}
				got.Data[k] = 0
				if off < math.Abs(g) {
					got.Data[k] = v / 0.4
					kept++
				}
			}
			n := float64(len(own.Data))
			if math.Abs(kept-0.4*n) > 5*math.Sqrt(0.4*0.6*n) {
				t.Errorf("dare keeps %g of %g elements of %s", kept, n, layer)
			}
			dropped[layer] = append(dropped[layer], got.Data)
		}
	}
	o.Weights = weights
	ownWeights := func(layer string) []float64 { _, own := changesOf(t, layer, all, weights); return own }
	c, _ = combine(t, all, o)
	sameDeltas(t, "dare-linear", c, func(layer string) []float64 { return weighted(dropped[layer], ownWeights(layer)) })
	o.Method = CombineDARETIES
	c, _ = combine(t, all, o)
	sameDeltas(t, "dare-ties", c, func(layer string) []float64 { return elected(dropped[layer], ownWeights(layer)) })
	again, _ := combine(t, all, o)
	o.Seed++
	other, _ := combine(t, all, o)
	if a, b, c := digest(t, c), digest(t, again), digest(t, other); a != b || a == c {
		t.Errorf("dare: digests %.8s, again %.8s, of another seed %.8s", a, b, c)
	}

	// The result is an adapter as any other.
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	back, err := Load(m, dir, Options{})
	if err != nil || back.Match() != MatchSame {
		t.Fatalf("match %q, %v", back.Match(), err)
	}
	if a, b := digest(t, c), digest(t, back); a != b {
		t.Errorf("digest %s, saved and loaded %s", a, b)
	}
}

func digest(t *testing.T, a *Adapter) string {
	t.Helper()
	d, err := a.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// PEFT's linear sums the factors, each with the root of weight and scale.
func TestCombineLinear(t *testing.T) {
	m := tiny(t, open(t, 1))
	cfg := kinds()["lora"]
	cfg.Targets = []string{"q_proj"}
	var all []*Adapter
	for i, alpha := range []float64{4, 24} {
		cfg.Alpha = alpha
		a, err := Attach(m, cfg, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		trained(t, m, 3)
		a.Detach()
		all = append(all, a)
	}
	c, _ := combine(t, all, CombineOptions{Method: CombineLinear, Weights: []float64{0.5, 2}})
	sameDeltas(t, "linear", c, func(layer string) []float64 {
		w, x := []float64{0.5 * 4 / 6, 2 * 24 / 6.}, make([]float64, 24*24)
		for o := range 24 {
			for in := range 24 {
				for r := range 6 {
					up, down := 0.0, 0.0
					for i, a := range all {
						l, err := a.find(layer)
						if err != nil {
							t.Fatal(err)
						}
						up += math.Sqrt(w[i]) * float64(read(t, l.B.Value)[o*6+r])
						down += math.Sqrt(w[i]) * float64(read(t, l.A.Value)[r*24+in])
					}
					x[o*24+in] += up * down
				}
			}
		}
		return x
	})
}

// Cut to a rank, the result is the nearest, and the report says what is lost.
func TestCombineToRank(t *testing.T) {
	_, all := different(t)
	for _, method := range []CombineMethod{CombineSVD, CombineTIES, CombineDARETIES} {
		exact, _ := combine(t, all, CombineOptions{Method: method, Rank: 40})
		c, report := combine(t, all, CombineOptions{Method: method, Rank: 3})
		for i, r := range report {
			want, err := exact.SingularValues(r.Layer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.SingularValues(r.Layer)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 3 || r.Rank != 3 || c.Layers()[i] != r.Layer {
				t.Fatalf("%s: %+v with %d values, want rank 3", method, r, len(got))
			}
			for k, v := range got {
				if math.Abs(v-want[k]) > 1e-5*want[0] {
					t.Errorf("%s: %s: value %d is %g, want %g", method, r.Layer, k, v, want[k])
				}
			}
			if lost := norm2(want[3:]) / norm2(want); math.Abs(r.Lost-lost) > 1e-5 {
				t.Errorf("%s: %s loses %g, want %g", method, r.Layer, r.Lost, lost)
			}
		}
	}
}

func TestCombineRefuses(t *testing.T) {
	m, all := different(t)
	other := attach(t, tiny(t, m.Device()), kinds()["lora"])
	cfg := kinds()["lora"]
	cfg.Extra = []string{"norm"}
	extra := attach(t, m, cfg)
	extra.Detach()
	for _, c := range []struct {
		want     string
		adapters []*Adapter
		o        CombineOptions
	}{
		{"want at least one adapter", nil, CombineOptions{}},
		{"method: want one of [cat svd", all, CombineOptions{Method: "sum"}},
		{"want a weight for each of 4 adapters, got 1", all, CombineOptions{Weights: []float64{1}}},
		{"weight 2: want a finite number", all[:2], CombineOptions{Weights: []float64{1, math.Inf(1)}}},
		{"density: want above 0 and up to 1, got 1.5", all, CombineOptions{Method: CombineTIES, Density: 1.5}},
		{"rank: want 0 to", all, CombineOptions{Method: CombineSVD, Rank: -1}},
		{"adapter 2: want adapters of one model", []*Adapter{all[0], other}, CombineOptions{}},
		{"adapter 2: want adapters of one model", []*Adapter{all[0], nil}, CombineOptions{}},
		{"trains model.norm.weight as well", []*Adapter{all[0], extra}, CombineOptions{}},
		{"want adapters of one rank, got 6 and 4", []*Adapter{all[0], all[3]}, CombineOptions{Method: CombineLinear}},
	} {
		if _, _, err := Combine(c.adapters, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// Changes of the head and the embedding combine, and are branches, as those of layers do.
func TestCombineOfEnds(t *testing.T) {
	m := tiny(t, open(t, 2))
	var all []*Adapter
	var paths []string
	for i, targets := range [][]string{{"v_proj", "lm_head", "embed_tokens"}, {"lm_head"}, {"v_proj", "embed_tokens"}} {
		cfg := kinds()["lora"]
		cfg.Targets = targets
		a, err := Attach(m, cfg, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		trained(t, m, 3)
		a.Detach()
		all, paths = append(all, a), append(paths, t.TempDir())
		if err := a.Save(paths[i]); err != nil {
			t.Fatal(err)
		}
	}
	weights := []float64{0.5, -1, 2}
	c, _ := combine(t, all, CombineOptions{Weights: weights})
	for _, layer := range []string{headModule, embeddingModule} {
		if !slices.Contains(c.Layers(), layer) {
			t.Errorf("layers %v, want %s among them", c.Layers(), layer)
		}
	}
	sum := func(weights []float64) func(layer string) []float64 {
		return func(layer string) []float64 { return weighted(changesOf(t, layer, all, weights)) }
	}
	sameDeltas(t, "combined", c, sum(weights))
	plain := logits(t, m, batch())
	if err := c.Attach(); err != nil {
		t.Fatal(err)
	}
	want := logits(t, m, batch())
	if _, err := c.Merge(); err != nil {
		t.Fatal(err)
	}
	if got := logits(t, m, batch()); distance(got, want) > 1e-5 || distance(want, plain) < 1e-3 {
		t.Errorf("merged: off by %g, of a change of %g", distance(got, want), distance(want, plain))
	}
	if err := c.Unmerge(); err != nil {
		t.Fatal(err)
	}
	c.Detach()
	joined, err := AttachBranches(m, paths, ScalingScalar, Options{})
	if err != nil {
		t.Fatal(err)
	}
	third := 1. / 3
	sameDeltas(t, "branches", joined, sum([]float64{third, third, third}))
}
