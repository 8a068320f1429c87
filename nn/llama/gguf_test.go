package llama

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

func saveGGUF(t testing.TB, m *Model, o GGUFOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := m.SaveGGUF(path, o); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadAs(t testing.TB, d *tensor.Device, path string, dt tensor.DType) *Model {
	t.Helper()
	m, err := Load(t.Context(), d, path, LoadOptions{DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A model written as GGUF and loaded again has the same bits of logits, whatever it is,
// and writing what was loaded gives the same file.
func TestGGUFRoundTrip(t *testing.T) {
	golden.Run(t, "causal-lm", func(t *testing.T, c *golden.Case) {
		d := open(t)
		m := load(t, d, c.Dir)
		b := goldenBatch(c)
		path := filepath.Join(t.TempDir(), "model.gguf")
		err := m.SaveGGUF(path, GGUFOptions{OwnReader: true})
		if e, ok := errors.AsType[*Error](err); ok && e.Field != "" {
			t.Logf("GGUF has no words for it: %v", err)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		again := load(t, d, path)
		if familyOf(m.Config.ModelType).gguf.shiftedNorms { // w + 1 - 1 is rounded
			near(t, "logits of the GGUF file", logits(t, again, b), logits(t, m, b))
		} else if !slices.Equal(logits(t, again, b), logits(t, m, b)) {
			t.Error("other logits from the GGUF file")
		}
		if got, want := again.Config.EOS, m.Config.EOS; !slices.Equal(got, want) || again.Config.BOS != m.Config.BOS {
			t.Errorf("BOS %d, EOS %v; want %d, %v", again.Config.BOS, got, m.Config.BOS, want)
		}
		if got, want := read(t, saveGGUF(t, again, GGUFOptions{OwnReader: true})),
			read(t, path); !slices.Equal(got, want) {
			t.Error("the model that was loaded is written as another file")
		}
		config, err := Check(t.Context(), path)
		if err != nil || config.Hidden != m.Config.Hidden {
			t.Errorf("Check: hidden size %d, error %v", config.Hidden, err)
		}
	})
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// llama.cpp's own order of rows: what its converter writes for a head's queries. The rows
// in a file are those of Hugging Face interleaved, with all their blocks.
func TestGGUFRowOrder(t *testing.T) {
	d := open(t)
	c := small("llama")
	c.Hidden = 32
	m := create(t, d, c)
	f, err := gguf.Open(saveGGUF(t, m, GGUFOptions{DType: tensor.Q8}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	q, err := f.Tensor("blk.1.attn_q.weight")
	if err != nil || q.Type != gguf.Q8_0 {
		t.Fatalf("%s, error %v", q.Type, err)
	}
	values, err := q.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Blocks[1].Attention.Q.(*nn.Linear).Weight.Value.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for row := range c.Heads * c.HeadDim {
		head, i := row/c.HeadDim, row%c.HeadDim
		from := head*c.HeadDim + i%2*(c.HeadDim/2) + i/2
		within(t, "a row of queries", values[row*c.Hidden:][:c.Hidden], want[from*c.Hidden:][:c.Hidden], 1e-2)
	}
}

// What is infinite or no number, or becomes so where it is rounded, is refused by name and place.
func TestGGUFWantsFiniteNumbers(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		bad  float64
		dt   tensor.DType
		want string // of element 40 of the first queries' weights, or of the first norm's
		norm bool
	}{
		{math.NaN(), tensor.F32, `"blk.0.attn_q.weight": want finite numbers of f32, got NaN at element 40`, false},
		{math.Inf(-1), tensor.BF16, `"blk.0.attn_q.weight": want finite numbers of bf16, got -Inf at element 40`, false},
		{70000, tensor.F16, `"blk.0.attn_q.weight": want finite numbers of f16, got +Inf at element 40`, false},
		{70000, tensor.BF16, "", false},
		{-math.MaxFloat32, tensor.F32, "", false},
		{math.NaN(), tensor.Q8, "got a value of NaN at element 40", false},
		{math.Inf(1), tensor.Q4_K, "got a value of +Inf at element 40", false}, // as q8: rows are short
		{math.NaN(), tensor.Q8, `"blk.0.attn_norm.weight": want finite numbers of f32, got NaN at element 5`, true},
	} {
		config := small("llama")
		config.Hidden = 32
		m := create(t, d, config)
		w, at := m.Blocks[0].Attention.Q.(*nn.Linear).Weight.Value, 40
		if c.norm {
			w, at = m.Blocks[0].InputNorm.Weight.Value, 5
		}
		values, err := w.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		values[at] = float32(c.bad)
		w.SetFloat32s(values)
		err = m.SaveGGUF(filepath.Join(t.TempDir(), "m.gguf"), GGUFOptions{DType: c.dt})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v as %s: got error %v, want %q", c.bad, c.dt, err, c.want)
		}
		if c.dt == tensor.Q8 && !c.norm { // and where they are quantized on the way in
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Load(t.Context(), d, dir, LoadOptions{DType: c.dt})
			if err == nil || !strings.Contains(err.Error(), "got a value of NaN at element 40") {
				t.Errorf("loaded as %s: got error %v", c.dt, err)
			}
		}
	}
}

// within compares within a normalized error.
func within(t *testing.T, what string, got, want []float32, most float64) {
	t.Helper()
	if e := golden.RelativeError(got, want); !(e <= most) {
		t.Errorf("%s: relative error %.3g, want at most %g", what, e, most)
	}
}

// The real file: its f16 matrices load, run, and are the same in f32 and in f16.
func TestGGUFRealModel(t *testing.T) {
	path := filepath.Join(realdata.Folder(t), "models", "llama-2-tiny-random", "llama-2-tiny-random.gguf")
	d := open(t)
	m := load(t, d, path)
	if c := m.Config; c.Vocab != 32000 || c.Layers != 1 || c.Heads != 2 || c.BOS != 1 ||
		!slices.Equal(c.EOS, []int32{2}) || m.Head == nil {
		t.Errorf("config %+v", c)
	}
	ids := generate(t, m, []int32{1, 15043}, 5)
	if len(ids) != 7 {
		t.Errorf("generated %v", ids)
	}
	within(t, "f16 logits", logits(t, loadAs(t, d, path, tensor.F16), Batch{Rows: 1, IDs: ids}),
		logits(t, m, Batch{Rows: 1, IDs: ids}), 1e-2)
}

// A trained model in q8 and q4: small errors, and the file's own blocks where it has
// some. The bounds are on |error| / |logits|. A q8 weight is off by at most 1/254 of its
// block's largest, by 1/3 % or so of a typical one, a q4 weight by up to 1/16, 10 % or so;
// the layers' errors add up as random ones do.
func TestQuantizedModel(t *testing.T) {
	dir := filepath.Join(realdata.Folder(t), "models", "stories260K-hf")
	d := open(t)
	m := load(t, d, dir)
	var ref struct{ IDs []int32 }
	readJSON(t, filepath.Join(dir, "reference.json"), &ref)
	b := Batch{Rows: 1, IDs: ref.IDs}
	want := logits(t, m, b)
	if got := logits(t, load(t, d, saveGGUF(t, m, GGUFOptions{})), b); !slices.Equal(got, want) {
		t.Error("f32: other logits from the GGUF file")
	}
	for _, c := range []struct {
		dt     tensor.DType
		most   float64
		stored tensor.DType // of the embedding
	}{{tensor.F16, 2e-3, tensor.F16}, {tensor.BF16, 2e-2, tensor.BF16}, {tensor.Q8, 2e-2, tensor.Q8},
		{tensor.Q4, 0.2, tensor.Q8}} {
		path := saveGGUF(t, m, GGUFOptions{DType: c.dt})
		direct, viaFile, wide := loadAs(t, d, dir, c.dt), loadAs(t, d, path, c.dt), load(t, d, path)
		got := logits(t, direct, b)
		within(t, c.dt.String(), got, want, c.most)
		t.Logf("%s: relative error of the logits %.3g", c.dt, golden.RelativeError(got, want))
		if dt := direct.Embedding.Weight.Value.DType(); dt != c.stored {
			t.Errorf("%s: the embedding is %s, want %s", c.dt, dt, c.stored)
		}
		if !c.dt.IsQuantized() {
			within(t, c.dt.String()+" widened", logits(t, wide, b), want, c.most)
			continue
		}
		if direct.DType() != tensor.F32 {
			t.Errorf("%s: activations in %s", c.dt, direct.DType())
		}
		if !slices.Equal(logits(t, viaFile, b), got) {
			t.Errorf("%s: quantized while loading and loaded quantized give other logits", c.dt)
		}
		if !slices.Equal(logits(t, wide, b), got) {
			t.Errorf("%s: the dequantized f32 weights give other logits", c.dt)
		}
		down := direct.Blocks[0].MLP.Down.(*nn.Linear).Weight.Value // 172 wide: no whole blocks
		up := direct.Blocks[0].MLP.Up.(*nn.Linear).Weight.Value
		if down.DType() != tensor.F32 || up.DType() != c.dt {
			t.Errorf("%s: down_proj is %s, up_proj %s", c.dt, down, up)
		}
		if got := loadAs(t, d, path, tensor.Q8).Blocks[0].MLP.Up.(*nn.Linear).Weight.Value.DType(); got != c.dt {
			t.Errorf("a tensor stored in %s is loaded as %s where q8 is asked for", c.dt, got)
		}
	}
}

// Loading quantized holds neither a second copy nor the wide tensors on the device.
func TestLoadQuantizedPeak(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.Q8, tensor.Q4} {
		d := open(t)
		loadAs(t, d, filepath.Join(golden.Folder(t), "llama-gqa"), dt)
		if s := d.Stats(); s.Peak != s.Live {
			t.Errorf("%s: peak of %d bytes for %d of weights", dt, s.Peak, s.Live)
		}
	}
}

// A file that does not fit is an error that says the file, the tensor, what was wanted
// and what came.
func TestLoadGGUFRefuses(t *testing.T) {
	d := open(t)
	path := saveGGUF(t, create(t, d, small("llama")), GGUFOptions{})
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	metadata, tensors := f.Metadata(), f.Tensors()
	defer f.Close()
	change := func(name string, edit func(*gguf.Tensor)) []gguf.Source {
		var out []gguf.Source
		for _, x := range tensors {
			if x.Name == name {
				edit(&x)
			}
			if x.Name != "" {
				out = append(out, x.Source())
			}
		}
		return out
	}
	const q = "blk.1.attn_q.weight"
	for want, sources := range map[string][]gguf.Source{
		"tensor model.layers.1.self_attn.q_proj.weight: want shape [32 24], got no such tensor": change(q,
			func(x *gguf.Tensor) { x.Name = "" }),
		"tensor blk.1.attn_qkv.weight: want no such tensor in a llama, got one": change(q,
			func(x *gguf.Tensor) { x.Name = "blk.1.attn_qkv.weight" }),
		"tensor model.layers.1.self_attn.q_proj.weight: want shape [32 24], got [24 32]": change(q,
			func(x *gguf.Tensor) { x.Shape = []int{24, 32} }),
		"tensor model.layers.1.self_attn.q_proj.weight: want F32, F16, BF16, Q8_0, Q4_0, Q4_1, " +
			"Q5_0, Q5_1, IQ4_NL, Q4_K, Q5_K or Q6_K (llama-quantize makes them of the original; from this file with " +
			"--allow-requantize), got I32": change(q,
			func(x *gguf.Tensor) {
				x.Type = 26
			}),
	} {
		bad := filepath.Join(t.TempDir(), "bad.gguf")
		if err := gguf.Write(bad, metadata, sources...); err != nil {
			t.Fatal(err)
		}
		before := d.Stats().Live
		if _, err := Load(t.Context(), d, bad, LoadOptions{}); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), bad) {
			t.Errorf("error %v, want one with the file and %q", err, want)
		}
		if live := d.Stats().Live; live != before {
			t.Errorf("%s: %d bytes allocated before the error", want, live-before)
		}
	}
	if _, err := Load(t.Context(), d, filepath.Join(t.TempDir(), "none.gguf"), LoadOptions{}); !errors.Is(err,
		os.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
}

// countedSource counts the tensors whose values are asked for.
type countedSource struct {
	source
	values int
}

func (c *countedSource) Tensor(ctx context.Context, name string) (stored, error) {
	c.values++
	return c.source.Tensor(ctx, name)
}

// The check of a file reads no values, so that rows are put in order once, as they are loaded.
func TestCheckReadsNoValues(t *testing.T) {
	d := open(t)
	path := saveGGUF(t, create(t, d, small("llama")), GGUFOptions{})
	c, file, err := openSource(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, shapes := build(nil, c)
	counted := &countedSource{source: file}
	if err := checkTensors(t.Context(), m, shapes, counted); err != nil || counted.values != 0 {
		t.Errorf("error %v, %d tensors read", err, counted.values)
	}
}
