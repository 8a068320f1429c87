package llama

import (
	"bytes"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// small is a configuration that tests can afford, with everything unequal.
func small(kind string) Config {
	c := Config{
		ModelType: kind, Vocab: 37, Hidden: 24, Intermediate: 40, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.3, BOS: 1, EOS: []int32{2}, QKVBias: kind == "qwen2",
	}
	if kind == "mistral" {
		c.Windows = []int{5, 5, 5}
	}
	return c
}

func create(t testing.TB, d *tensor.Device, c Config) *Model {
	t.Helper()
	m, err := New(d, c, 9)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range nn.Params(m) { // biases of a new model are 0, which would test nothing
		if strings.HasSuffix(name, ".bias") {
			p.Value = nn.NewInitializer(d, 10).Normal(1, p.Value.Shape()...).Value
		}
	}
	return m
}

// text is n token ids of a model with the given vocabulary.
func text(seed uint64, n, vocab int) []int32 {
	r := random.NewStream(seed, random.Test, 0, 0)
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(vocab))
	}
	return ids
}

func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if e := golden.RelativeError(got, want); !(e <= 1e-5) {
		t.Errorf("%s: relative error %.3g, want at most 1e-5", what, e)
	}
}

// However its tokens are brought to the model, a text has the same logits: alone, in
// a batch with longer ones (padded), packed behind others, or piece by piece through
// a cache, again alone or in a batch; its tokens may even come in another order.
func TestOneTextManyWays(t *testing.T) {
	d := open(t)
	configs := []Config{small("llama"), small("mistral"), small("qwen2")}
	for _, kind := range []string{"gemma2", "gemma3_text", "granite", "olmo2", "qwen3", "smollm3"} {
		configs = append(configs, smallest(t, kind, nil))
	}
	for _, c := range configs {
		t.Run(c.ModelType, func(t *testing.T) {
			m := create(t, d, c)
			texts := [][]int32{text(1, 19, c.Vocab), text(2, 11, c.Vocab), text(3, 1, c.Vocab)}
			var alone [][]float32
			for _, ids := range texts {
				alone = append(alone, logits(t, m, NewBatch([][]int32{ids}, nil)))
			}

			padded := logits(t, m, NewBatch(texts, nil))
			for r, want := range alone {
				near(t, "padded", padded[r*19*c.Vocab:][:len(want)], want)
			}

			packed := Batch{Rows: 1}
			for r, ids := range texts {
				for i, id := range ids {
					packed.IDs, packed.Positions, packed.Segments = append(packed.IDs, id),
						append(packed.Positions, int32(i)), append(packed.Segments, int32(r))
				}
			}
			near(t, "packed", logits(t, m, packed), slices.Concat(alone...))

			shuffled := Batch{Rows: 1, IDs: make([]int32, 19), Positions: make([]int32, 19)}
			inOrder := make([]float32, 19*c.Vocab)
			for i, p := range random.NewStream(8, random.Test, 0, 0).Perm(19) {
				shuffled.IDs[i], shuffled.Positions[i] = texts[0][p], int32(p)
			}
			got := logits(t, m, shuffled)
			for i, p := range shuffled.Positions {
				copy(inOrder[int(p)*c.Vocab:], got[i*c.Vocab:(i+1)*c.Vocab])
			}
			near(t, "shuffled", inOrder, alone[0])

			// Row r gets its tokens in pieces of r+2; some steps give a row nothing.
			before := d.Stats().Live
			for rows := 1; rows <= len(texts); rows += 2 {
				decoder := m.NewDecoder(rows, 40)
				fed := make([]int, rows)
				for more := true; more; {
					more = false
					pieces := make([][]int32, rows)
					for r := range rows {
						pieces[r] = texts[r][fed[r]:min(fed[r]+r+2, len(texts[r]))]
						fed[r] += len(pieces[r])
						more = more || fed[r] < len(texts[r])
					}
					got, err := decoder.Step(pieces)
					if err != nil {
						t.Fatal(err)
					}
					for r := range rows {
						if len(pieces[r]) == 0 {
							if got[r] != nil {
								t.Errorf("row %d got no token but has logits", r)
							}
							continue
						}
						near(t, "cached", got[r], alone[r][(fed[r]-1)*c.Vocab:fed[r]*c.Vocab])
					}
				}
				decoder.Close()
			}
			if live := d.Stats().Live; live != before {
				t.Errorf("decoding leaked %d bytes", live-before)
			}
		})
	}
}

// Three layers that see four tokens back see twelve together, and no further.
func TestWindow(t *testing.T) {
	c := small("mistral")
	m := create(t, open(t), c)
	a := text(1, 20, c.Vocab)
	b := slices.Clone(a)
	b[0] = (a[0] + 1) % int32(c.Vocab)
	x, y := logits(t, m, Batch{Rows: 1, IDs: a}), logits(t, m, Batch{Rows: 1, IDs: b})
	for i := range a {
		same := slices.Equal(x[i*c.Vocab:(i+1)*c.Vocab], y[i*c.Vocab:(i+1)*c.Vocab])
		if same != (i > 12) {
			t.Errorf("position %d: equal logits %v after a change at position 0", i, same)
		}
	}
}

// The gradients of a batch are those of its micro-batches, summed, when all are
// divided by the same number of labels.
func TestMicroBatchesAddUp(t *testing.T) {
	d := open(t)
	c := small("llama")
	var ids, labels [][]int32
	for i, n := range []int{13, 4, 9} {
		ids, labels = append(ids, text(uint64(i), n, c.Vocab)), append(labels, text(uint64(i+10), n, c.Vocab))
		labels[i][0] = ops.IgnoreLabel
	}
	whole, parts := create(t, d, c), create(t, d, c)
	train(whole)
	train(parts)
	b := NewBatch(ids, labels)
	if b.Counted() != 13+4+9-3 {
		t.Fatalf("%d labels counted, want %d", b.Counted(), 13+4+9-3)
	}
	want := step(t, whole, b, b.Counted())
	var loss float32
	for i := range ids {
		loss += step(t, parts, NewBatch(ids[i:i+1], labels[i:i+1]), b.Counted())
	}
	if !(math.Abs(float64(loss-want)) <= 1e-5) {
		t.Errorf("losses add up to %v, the whole batch has %v", loss, want)
	}
	wholeGrads := gradients(t, whole)
	for name, got := range gradients(t, parts) {
		near(t, "gradient of "+name, got, wholeGrads[name])
	}
}

func TestSaveAndLoad(t *testing.T) {
	d := open(t)
	for _, kind := range []string{"llama", "mistral", "qwen2"} {
		c := small(kind)
		c.Tied = kind == "llama"
		c.RoPE = ops.RoPEScaling{Theta: 500, Factor: 2, OriginalPositions: 16, LowFreqFactor: 1, HighFreqFactor: 4}
		m := create(t, d, c)
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		again := load(t, d, dir)
		b := NewBatch([][]int32{text(4, 33, c.Vocab)}, nil)
		if got, want := logits(t, again, b), logits(t, m, b); !slices.Equal(got, want) {
			t.Errorf("%s: other logits after saving and loading", kind)
		}
		for name, p := range nn.Params(again) {
			if !p.Frozen {
				t.Errorf("%s: %s is not frozen after loading", kind, name)
			}
		}
		// In 16 bits: everything is rounded, the files too.
		half, err := Load(t.Context(), d, dir, LoadOptions{DType: tensor.BF16})
		if err != nil {
			t.Fatal(err)
		}
		if dt := half.Logits(b).Tensor().DType(); dt != tensor.BF16 {
			t.Errorf("%s: logits of a bf16 model are %s", kind, dt)
		}
		if e := golden.RelativeError(logits(t, half, b), logits(t, m, b)); !(e > 1e-4 && e < 0.1) {
			t.Errorf("%s: bf16 logits differ by %.3g", kind, e)
		}
		whole := logits(t, half, b)
		last, err := half.NewDecoder(1, len(b.IDs)).Step([][]int32{b.IDs})
		if err != nil {
			t.Fatal(err)
		}
		if e := golden.RelativeError(last[0], whole[len(whole)-c.Vocab:]); !(e < 0.02) {
			t.Errorf("%s: bf16 logits through the cache differ by %.3g", kind, e)
		}
		if err := half.Save(dir); err != nil {
			t.Fatal(err)
		}
		halfAgain, err := Load(t.Context(), d, dir, LoadOptions{DType: tensor.BF16})
		if err != nil {
			t.Fatal(err)
		}
		saved := maps.Collect(nn.Params(halfAgain))
		for name, p := range nn.Params(half) {
			x, errX := p.Value.RawBytes()
			y, errY := saved[name].Value.RawBytes()
			if errX != nil || errY != nil || !bytes.Equal(x, y) {
				t.Errorf("%s: %s changed on its way through the folder", kind, name)
			}
		}
	}
}

// The names and shapes of a model with every bias there is.
func TestNamesAndShapes(t *testing.T) {
	c := small("llama")
	c.Layers, c.QKVBias, c.OBias, c.MLPBias = 1, true, true, true
	m := create(t, open(t), c)
	const layer = "model.layers.0."
	want := map[string][]int{
		"model.embed_tokens.weight": {37, 24}, "model.norm.weight": {24}, "lm_head.weight": {37, 24},
		layer + "input_layernorm.weight": {24}, layer + "post_attention_layernorm.weight": {24},
		layer + "self_attn.q_proj.weight": {32, 24}, layer + "self_attn.q_proj.bias": {32},
		layer + "self_attn.k_proj.weight": {16, 24}, layer + "self_attn.k_proj.bias": {16},
		layer + "self_attn.v_proj.weight": {16, 24}, layer + "self_attn.v_proj.bias": {16},
		layer + "self_attn.o_proj.weight": {24, 32}, layer + "self_attn.o_proj.bias": {24},
		layer + "mlp.gate_proj.weight": {40, 24}, layer + "mlp.gate_proj.bias": {40},
		layer + "mlp.up_proj.weight": {40, 24}, layer + "mlp.up_proj.bias": {40},
		layer + "mlp.down_proj.weight": {24, 40}, layer + "mlp.down_proj.bias": {24},
	}
	got := map[string][]int{}
	for name, p := range nn.Params(m) {
		got[name] = p.Value.Shape()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parameters are %v, want %v", got, want)
	}
	// Qwen2 has no bias behind the attention.
	for name := range nn.Params(create(t, m.Device(), small("qwen2"))) {
		if strings.HasSuffix(name, "o_proj.bias") {
			t.Errorf("a qwen2 has %s", name)
		}
	}
}

// Adapters must be merged before a model is saved.
func TestSaveRefusesAdapters(t *testing.T) {
	d := open(t)
	m := create(t, d, small("llama"))
	for name, slot := range nn.Layers(m) {
		if name == "model.layers.1.mlp.up_proj" {
			*slot = nn.Sequential{*slot}
		}
	}
	if err := m.Save(t.TempDir()); err == nil || !strings.Contains(err.Error(), "model.layers.1.mlp.up_proj.0.weight") {
		t.Errorf("error %v, want one that names the parameter", err)
	}
}

func TestBadBatchesAreNamed(t *testing.T) {
	d := open(t)
	m := create(t, d, small("llama"))
	five := []int32{0, 1, 2, 3, 4}
	for want, b := range map[string]Batch{
		"token id 37 in row 1, token 0: want 0 to 36":            {Rows: 2, IDs: []int32{1, 2, 37, 3}},
		"token id -1 in row 0, token 1: want 0 to 36":            {Rows: 1, IDs: []int32{1, -1}},
		"position 64 in row 0, token 4: want 0 to 63":            {Rows: 1, IDs: five, Positions: []int32{0, 1, 2, 3, 64}},
		"segment -2 in row 0, token 0: want -1 to":               {Rows: 1, IDs: five, Segments: []int32{-2, 0, 0, 0, 0}},
		"label -1 in row 0, token 2: want 0 to 36":               {Rows: 1, IDs: five, Labels: []int32{-100, 0, -1, 0, 0}},
		"3 labels for 5 token ids":                               {Rows: 1, IDs: five, Labels: []int32{1, 2, 3}},
		"a row of 65 tokens: the model has 64 positions":         {Rows: 1, IDs: make([]int32, 65)},
		"a batch of 2 rows and 5 ids: want rows of one length":   {Rows: 2, IDs: five},
		"a batch of 0 rows and 0 ids: want rows of one length, ": {},
	} {
		err := tensor.Catch(func() { m.Hidden(b) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
