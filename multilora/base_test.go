package multilora

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// blocks32 is the shape of a model all of whose matrices can be quantized.
func blocks32() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: 96, Hidden: 64, Intermediate: 96, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, EOS: []int32{1},
	}
}

// folder saves a model and gives its folder.
func folder(t *testing.T, m *llama.Model, dt tensor.DType) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model-"+dt.String())
	if err := m.SaveAs(dir, dt); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ggufFile(t *testing.T, m *llama.Model, dt tensor.DType) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), dt.String()+".gguf")
	if err := m.SaveGGUF(path, llama.GGUFOptions{DType: dt}); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, d *tensor.Device, path string, dt tensor.DType) *llama.Model {
	t.Helper()
	m, err := llama.Load(t.Context(), d, path, llama.LoadOptions{DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// adapterOf trains nothing: it saves a new adapter whose modules say something.
func adapterOf(t *testing.T, m *llama.Model, extra ...string) string {
	t.Helper()
	cfg := kinds()["scalar"]
	cfg.Extra = extra
	a := attach(t, m, cfg)
	a.Base = "base"
	for _, l := range a.layers {
		s := make([]float32, l.linear.S.Value.Numel())
		for i := range s {
			s[i] = 0.02
		}
		l.linear.S.Value.SetFloat32s(s)
	}
	dir := t.TempDir()
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	a.Detach()
	return dir
}

// way is a way to have one model: a container, its type, and the type it is loaded as.
type way struct {
	name string
	path string
	as   tensor.DType
}

// waysOf writes a model in every container and type that Agora writes.
func waysOf(t *testing.T, d *tensor.Device, m *llama.Model) (ways []way) {
	t.Helper()
	half := map[tensor.DType]string{}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		half[dt] = folder(t, m, dt)
		for _, as := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4} {
			ways = append(ways, way{fmt.Sprintf("hf-%s as %s", dt, as), half[dt], as})
		}
	}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4} {
		ways = append(ways, way{fmt.Sprintf("gguf-%s as f32", dt), ggufFile(t, m, dt), tensor.F32})
	}
	// Quantized files are made of 16 bits, and what is quantized may be unpacked to 16 bits.
	for _, dt := range []tensor.DType{tensor.Q8, tensor.Q4} {
		file := ggufFile(t, load(t, d, half[tensor.BF16], tensor.BF16), dt)
		for _, as := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8} {
			ways = append(ways, way{fmt.Sprintf("bf16, gguf-%s as %s", dt, as), file, as})
		}
		ways = append(ways, way{fmt.Sprintf("f16, gguf-%s as f32",
			dt), ggufFile(t, load(t, d, half[tensor.F16], tensor.F16), dt), tensor.F32})
	}
	return ways
}

// One model matches itself in every storage and container, both ways, and another of the
// same shape, or one with one matrix moved a little, never does.
func TestBaseInAnyStorage(t *testing.T) {
	d := open(t, 2)
	m, err := llama.New(d, blocks32(), 3)
	if err != nil {
		t.Fatal(err)
	}
	other, err := llama.New(d, blocks32(), 4)
	if err != nil {
		t.Fatal(err)
	}
	everyStorage(t, d, m, other)
}

func TestRealBaseInAnyStorage(t *testing.T) {
	for _, name := range []string{"stories260K-hf", "babyllama-tok105-hf",
		"llama-2-tiny-random/llama-2-tiny-random.gguf"} {
		path := filepath.Join(realdata.Folder(t), "models", name)
		t.Run(name, func(t *testing.T) {
			d := open(t, 2)
			m, other := load(t, d, path, tensor.F32), load(t, d, path, tensor.F32)
			moveEach(t, other, 1)
			everyStorage(t, d, m, other)
		})
	}
}

func everyStorage(t *testing.T, d *tensor.Device, m, other *llama.Model) {
	t.Helper()
	ways := waysOf(t, d, m)
	var prints, others []*Fingerprint
	for _, w := range ways {
		f, err := fingerprint(load(t, d, w.path, w.as))
		if err != nil {
			t.Fatal(err)
		}
		prints = append(prints, f)
	}
	for _, w := range waysOf(t, d, other) {
		f, err := fingerprint(load(t, d, w.path, w.as))
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, f)
	}
	same, storage := 0, 0
	for i, a := range prints {
		for j, b := range prints {
			diff, err := a.compare(b)
			switch {
			case err != nil:
				t.Errorf("%s beside %s: %v", ways[i].name, ways[j].name, err)
			case diff == nil:
				same++
			case diff.other > 0:
				t.Errorf("%s beside %s: %s", ways[i].name, ways[j].name, diff)
			default:
				storage++
			}
			if diff, err := a.compare(others[j]); err != nil || diff == nil || diff.other == 0 {
				t.Errorf("%s beside another model's %s: passes", ways[i].name, ways[j].name)
			}
		}
	}
	t.Logf("%d pairs are the same, %d another storage", same, storage)
}

// moveEach adds to every number of a model's matrices a random part of their mean magnitude.
func moveEach(t *testing.T, m *llama.Model, part float64) {
	t.Helper()
	r := random.NewStream(9, random.Test, 0, 0)
	for _, p := range nn.Params(m) {
		v := read(t, p.Value)
		sum := 0.0
		for _, x := range v {
			sum += max(float64(x), -float64(x))
		}
		for i := range v {
			v[i] += float32(part * sum / float64(len(v)) * r.Normal())
		}
		p.Value.SetFloat32s(v)
	}
}

// refusal is the error of loading an adapter onto a model that must be refused.
func refusal(t *testing.T, model Model, path string) *BaseError {
	t.Helper()
	_, err := Open(model, path, Options{})
	wrong, ok := errors.AsType[*BaseError](err)
	if !ok {
		t.Fatalf("loading gives %v, want a *BaseError", err)
	}
	return wrong
}

// The same adapter is put into a model's weights once: the second time is refused, by the
// mark in the configuration, and without it by the weights. Taken out again it may go in again.
func TestMergedTwice(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		for _, extra := range [][]string{nil, {"norm"}} {
			t.Run(fmt.Sprint(dt, extra), func(t *testing.T) {
				d := open(t, 2)
				m, err := llama.New(d, blocks32(), 3)
				if err != nil {
					t.Fatal(err)
				}
				base := folder(t, m, dt)
				m = load(t, d, base, dt)
				dir := adapterOf(t, m, extra...)
				a, err := Open(m, dir, Options{})
				if err != nil || a.Match() != MatchSame || a.MatchNote() != "" {
					t.Fatalf("%v: match %s (%s)", err, a.Match(), a.MatchNote())
				}
				if _, err := a.Merge(); err != nil {
					t.Fatal(err)
				}
				if e := refusal(t, m, dir); !e.Holds ||
					!strings.Contains(e.Error(), "got one that holds it already: its configuration lists the adapter's digest") {
					t.Errorf("in memory: %v", e)
				}
				merged := folder(t, m, dt)
				for _, path := range []string{merged, ggufFile(t, m, dt)} {
					if e := refusal(t, load(t, d, path, dt), dir); !e.Holds || !strings.Contains(e.Reason, "digest") {
						t.Errorf("%s: %v", path, e)
					}
				}
				unmarked := load(t, d, merged, dt)
				unmarked.Config.Merged = nil
				if e := refusal(t, unmarked, dir); !e.Holds || !strings.Contains(e.Reason, "with the adapter added") {
					t.Errorf("without the mark: %v", e)
				}
				forced, err := Open(load(t, d, merged, dt), dir, Options{AnyBase: true})
				if err != nil || forced.Match() != MatchOther ||
					!strings.Contains(forced.MatchNote(), "warning: "+dir+": the model holds the adapter already") {
					t.Errorf("with AnyBase: %v, %q", err, forced.MatchNote())
				}
				if err := a.Unmerge(); err != nil {
					t.Fatal(err)
				}
				if len(m.Config.Merged) != 0 {
					t.Errorf("unmerged, and still marked: %v", m.Config.Merged)
				}
				a.Detach()
				if b, err := Open(m, dir, Options{}); err != nil || b.Match() != MatchSame {
					t.Errorf("unmerged: %v", err)
				}
			})
		}
	}
}

// What another base is recognized by, and what is said of it. Each change is made to a copy
// of the base in each storage.
func TestOtherBases(t *testing.T) {
	const up, norm, q = "model.layers.1.mlp.up_proj.weight", "model.norm.weight",
		"model.layers.0.self_attn.q_proj.weight"
	change := func(name string, f func(i int, v float32) float32) func(*llama.Model) {
		return func(m *llama.Model) {
			for n, p := range nn.Params(m) {
				if n != name && name != "" {
					continue
				}
				v, err := p.Value.Float32s()
				if err != nil {
					panic(err)
				}
				for i := range v {
					v[i] = f(i, v[i])
				}
				p.Value.SetFloat32s(v)
			}
		}
	}
	noise := func(size float32) func(int, float32) float32 {
		r := random.NewStream(5, random.Test, 0, 0)
		return func(_ int, v float32) float32 { return v + size*float32(r.Normal()) }
	}
	step := func(size float32) func(int, float32) float32 { // as Adam's first step moves all
		return func(i int, v float32) float32 { return v + size*float32(1-2*(i%2)) }
	}
	f32, bf16, f16, q8 := tensor.F32, tensor.BF16, tensor.F16, tensor.Q8
	for _, c := range []struct {
		name   string
		change func(*llama.Model)
		first  string         // the tensor that is named
		found  []tensor.DType // storages in which the change shows; the others round it away
		not    []tensor.DType
	}{
		{"another matrix", change(up, noise(0.02)), up, []tensor.DType{f32, bf16, f16, q8}, nil},
		{"a matrix, 1 %", change(up, noise(2e-4)), up, []tensor.DType{f32, bf16, f16}, nil},
		{"a norm, 1 %", change(norm, noise(0.01)), norm, []tensor.DType{f32, bf16, f16, q8}, nil},
		{"every weight by 1e-4", change("", step(1e-4)), "", []tensor.DType{f32, bf16, f16}, nil},
		{"every weight by 1e-5", change("", step(1e-5)), "", []tensor.DType{f32, bf16, f16}, nil},
		{"every weight by 1e-6", change("", step(1e-6)), "", []tensor.DType{f32, f16}, nil},
		{"the last bit of a matrix", change(q, func(i int, v float32) float32 { return v * (1 + 1.2e-7) }), q,
			[]tensor.DType{f32}, []tensor.DType{bf16, q8}},
		{"signs of a matrix", change(q, func(i int, v float32) float32 { return -v }), q,
			[]tensor.DType{f32, bf16, f16, q8}, nil},
		{"columns of a matrix", change(q, func(i int, v float32) float32 { return float32(i%64) * 1e-3 }), q,
			[]tensor.DType{f32, bf16, f16, q8}, nil},
		{"a matrix of zeros", change(q, func(int, float32) float32 { return 0 }), q,
			[]tensor.DType{f32, bf16, f16, q8}, nil},
		{"a NaN", change(q, func(i int, v float32) float32 { return float32(math.NaN()) }), q,
			[]tensor.DType{f32, bf16, f16}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := open(t, 2)
			m, err := llama.New(d, blocks32(), 3)
			if err != nil {
				t.Fatal(err)
			}
			base := folder(t, m, tensor.F32)
			other := load(t, d, base, tensor.F32)
			c.change(other)
			changed := folder(t, other, tensor.F32)
			for _, dt := range slices.Concat(c.found, c.not) {
				dir := adapterOf(t, load(t, d, base, dt))
				x := load(t, d, changed, dt)
				a, err := Open(x, dir, Options{})
				wrong, refused := errors.AsType[*BaseError](err)
				switch {
				case slices.Contains(c.not, dt):
					if err != nil || a.Match() == MatchOther {
						t.Errorf("%s: %v", dt, err)
					}
				case !refused:
					t.Errorf("%s: error %v, want a refusal", dt, err)
				case wrong.Holds || !strings.Contains(err.Error(),
					`want the model that the adapter was made for, got another one: tensor "`+c.first) ||
					!strings.Contains(err.Error(), "of 64 sampled numbers differ, by up to"):
					t.Errorf("%s: %v", dt, err)
				default:
					for name, layer := range nn.Layers(x) {
						if _, ok := (*layer).(*nn.Linear); !ok {
							t.Errorf("%s: %s holds a %T now", dt, name, *layer)
						}
					}
				}
			}
		})
	}
}

// A model of another shape beside layers that fit, and one with other parameters.
func TestOtherShapes(t *testing.T) {
	d := open(t, 1)
	m, err := llama.New(d, blocks32(), 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := adapterOf(t, m)
	larger, biased, tied, shorter := blocks32(), blocks32(), blocks32(), blocks32()
	larger.Vocab, biased.QKVBias, tied.Tied = 128, true, true
	shorter.Layers = 3
	for _, c := range []struct {
		config llama.Config
		want   string
	}{
		{larger, `tensor "model.embed_tokens.weight": want shape [96 64], got [128 64]`},
		{biased, `tensor "model.layers.0.self_attn.q_proj.bias": want no such tensor, got shape [64]`},
		{tied, `tensor "lm_head.weight": want shape [96 64], got no such tensor`},
		{shorter, "want the tensor, got none"}, // all-linear means the third layer, too
	} {
		other, err := llama.New(d, c.config, 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(other, dir, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// An adapter of an earlier version says nothing of its base, and neither do PEFT's form and
// llama.cpp's: the first is worth a line.
func TestUnknownBase(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	a := attach(t, m, kinds()["lora"])
	old, peft, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "a.gguf")
	for _, err := range []error{a.Save(old), a.SavePEFT(peft), a.SaveGGUF(file, m.Config)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := ReadInfo(old)
	if err != nil {
		t.Fatal(err)
	}
	if info.Fingerprint.Digest() != a.Fingerprint().Digest() || len(info.Fingerprint.Tensors) != 27 {
		t.Errorf("the fingerprint is read as %v", info.Fingerprint)
	}
	info.Fingerprint = nil
	text, err := info.text()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(old, InfoFile), string(text))
	for path, want := range map[string]string{old: "cannot be checked", peft: "", file: ""} {
		other := random3Heads(t, d, 24, 40)
		b, err := Open(other, path, Options{})
		if err != nil || b.Match() != MatchUnknown || (want == "") != (b.MatchNote() == "") ||
			!strings.Contains(b.MatchNote(), want) || b.Fingerprint() != nil {
			t.Errorf("%s: %v, match %s, %q", path, err, b.Match(), b.MatchNote())
			continue
		}
		again := t.TempDir() // nobody knows more by saving it
		if err := b.Save(again); err != nil {
			t.Fatal(err)
		}
		if info, err := ReadInfo(again); err != nil || info.Fingerprint != nil {
			t.Errorf("%s saved: %v, %v", path, err, info.Fingerprint)
		}
	}
}

// What is loaded beside another storage keeps the fingerprint it was made with.
func TestFingerprintStays(t *testing.T) {
	d := open(t, 1)
	m, err := llama.New(d, blocks32(), 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := adapterOf(t, m, "norm")
	q4 := load(t, d, folder(t, m, tensor.F32), tensor.Q4)
	a, err := Open(q4, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "the model is the one that the adapter was made for, in another storage: f32 there, q8 here (16 tensors differ, by rounding alone)"; a.Match() != MatchStorage || a.MatchNote() != want {
		t.Errorf("match %s: %q, want %q", a.Match(), a.MatchNote(), want)
	}
	again := t.TempDir()
	if err := a.Save(again); err != nil {
		t.Fatal(err)
	}
	x, _ := os.ReadFile(filepath.Join(dir, InfoFile))
	if y, err := os.ReadFile(filepath.Join(again, InfoFile)); err != nil || !bytes.Equal(x, y) {
		t.Errorf("adapter.json has changed (%v)", err)
	}
}

// The sample of a parameter is a few whole blocks, other ones for other names.
func TestSampled(t *testing.T) {
	seen := map[piece]bool{}
	for i := range 100 {
		name := fmt.Sprintf("model.layers.%d.mlp.up_proj.weight", i)
		for _, n := range []int{1, 63, 64, 65, 97, 4096, 4096 * 11008} {
			pieces, total := sampled(name, n), 0
			for k, p := range pieces {
				total += p.n
				if p.from+p.n > n || k > 0 && p.from < pieces[k-1].from+pieces[k-1].n || p.from%32 != 0 {
					t.Errorf("%s of %d: %v", name, n, pieces)
				}
				seen[p] = seen[p] || n > 1e6
			}
			if total != min(n, 64) {
				t.Errorf("%d of %d numbers", total, n)
			}
		}
	}
	large := 0
	for _, is := range seen {
		if is {
			large++
		}
	}
	if large < 195 {
		t.Errorf("of 100 names only %d blocks", large)
	}
}

// An adapter has one digest in every form, so that what was merged from one is known in all.
func TestDigestInEveryForm(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		d := open(t, 1)
		m := tiny(t, d)
		a := attach(t, m, cfg)
		trained(t, m, 3)
		own, peft, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "a.gguf")
		forms := []string{own, peft, file}
		if cfg.Method == MethodRSLoRA || cfg.Ranks != nil { // alpha is rounded to f32, and ranks are multiplied out
			forms = forms[:2]
		}
		for _, err := range []error{a.Save(own), a.SavePEFT(peft), a.SaveGGUF(file, m.Config)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want, err := a.Digest()
		if err != nil || len(want) != 64 {
			t.Fatalf("digest %q, %v", want, err)
		}
		if _, err := a.Merge(); err != nil {
			t.Fatal(err)
		}
		for _, path := range forms {
			b, err := Open(tiny(t, d), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b.Digest(); err != nil || got != want {
				t.Errorf("%s: digest %s, want %s (%v)", path, got, want, err)
			}
			if e := refusal(t, m, path); !e.Holds {
				t.Errorf("%s: %v", path, e)
			}
		}
		fresh := attach(t, tiny(t, d), cfg)
		if got, err := fresh.Digest(); err != nil || got == want {
			t.Errorf("an untrained adapter has the digest of the trained one (%v)", err)
		}
	})
}

// A set refuses as Open does, and takes the same options.
func TestSetChecksTheBase(t *testing.T) {
	d := open(t, 1)
	m, err := llama.New(d, blocks32(), 3)
	if err != nil {
		t.Fatal(err)
	}
	other, err := llama.New(d, blocks32(), 4)
	if err != nil {
		t.Fatal(err)
	}
	one, two := adapterOf(t, m, "norm"), adapterOf(t, m)
	set := NewSet(m)
	if err := errors.Join(set.Load("one", one, Options{}), set.Use("one"),
		set.Load("two", two, Options{})); err != nil { // one's norm is not the base's
		t.Fatal(err)
	}
	if set.Adapter("two").Match() != MatchSame {
		t.Errorf("beside another adapter: %s, %s", set.Adapter("two").Match(), set.Adapter("two").MatchNote())
	}
	set = NewSet(other)
	if err := set.Load("one", one, Options{}); err == nil || !strings.Contains(err.Error(), "got another one") {
		t.Errorf("another base: %v", err)
	}
	if err := set.Load("one", one, Options{AnyBase: true}); err != nil ||
		set.Adapter("one").Match() != MatchOther {
		t.Errorf("with AnyBase: %v", err)
	}
}
