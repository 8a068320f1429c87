package llama_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// twoDecoders are one that runs kernels again and one that asks the layers for each token.
type twoDecoders struct {
	t            *testing.T
	again, asked *llama.Decoder
	words        *random.Stream
	rows         int
}

func newTwoDecoders(t *testing.T, m *llama.Model, rows, slots int) *twoDecoders {
	d := &twoDecoders{t, m.NewDecoder(rows, slots), m.NewDecoder(rows, slots), random.NewStream(4, random.Test, 0, 0), rows}
	d.asked.AskAlways()
	return d
}

// step gives every row so many tokens as lengths say, and compares the bits.
func (d *twoDecoders) step(what string, lengths ...int) {
	d.t.Helper()
	ids := make([][]int32, d.rows)
	for r := range ids {
		for range lengths[r%len(lengths)] {
			ids[r] = append(ids[r], int32(d.words.IntN(37)))
		}
	}
	got, err := d.again.Step(ids) // the first, so that nothing is up to date but by itself
	if err != nil {
		d.t.Fatal(err)
	}
	want, err := d.asked.Step(ids)
	if err != nil {
		d.t.Fatal(err)
	}
	for r := range want {
		if !slices.Equal(got[r], want[r]) {
			d.t.Fatalf("%s: the logits of row %d are %v, want %v", what, r, got[r], want[r])
		}
	}
}

// tokens gives every row two tokens, one after the other, of which the last at least is run again.
func (d *twoDecoders) tokens(what string) {
	d.t.Helper()
	for range 2 {
		d.step(what, 1)
		if !d.again.Repeats() {
			d.t.Fatalf("%s: it is not run again", what)
		}
	}
}

func modelForAdapters(t *testing.T, dtype tensor.DType, tied bool) *llama.Model {
	t.Helper()
	b, err := device.OpenBackend("cpu", device.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	t.Cleanup(func() { d.Close() })
	m, err := llama.NewAs(d, llama.Config{
		ModelType: "llama", Vocab: 37, Hidden: 24, Intermediate: 40, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.3, BOS: 1, EOS: []int32{2}, Tied: tied,
	}, dtype, 9)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shift gives an adapter that is attached other numbers, in place.
func shift(m *llama.Model, seed uint64) {
	r := random.NewStream(seed, random.Test, 7, 0)
	for _, p := range nn.Params(m) {
		if p.Frozen {
			continue
		}
		values := make([]float32, p.Value.Numel())
		for i := range values {
			values[i] = 0.6*r.Float32() - 0.2
		}
		p.Value.SetFloat32s(values)
	}
}

func attached(t *testing.T, m *llama.Model, c multilora.Config, seed uint64) *multilora.Adapter {
	t.Helper()
	a, err := multilora.Attach(m, c, seed)
	if err != nil {
		t.Fatal(err)
	}
	shift(m, seed)
	return a
}

func loraConfig(method multilora.Method, modules, rank int) multilora.Config {
	c := multilora.Defaults()
	c.Method, c.Modules, c.Rank, c.Alpha = method, modules, rank, 4
	return c
}

// Tokens of models with adapters are run again, with the bits of those for which the layers are asked, whatever becomes of the
// adapter between them.
func TestTokensAgainWithAdapters(t *testing.T) {
	perOutput := loraConfig(multilora.MethodMultiLoRA, 2, 4)
	perOutput.Scaling = multilora.ScalingPerOutput
	biased := loraConfig(multilora.MethodRSLoRA, 1, 3)
	biased.Bias, biased.Targets = true, []string{"q_proj", "down_proj"}
	beside := loraConfig(multilora.MethodMultiLoRA, 2, 2)
	beside.Targets = []string{"embed_tokens", "lm_head"}
	rows := loraConfig(multilora.MethodLoRA, 1, 2)
	rows.Tokens, rows.Extra, rows.Dropout = []string{"3-9", "lm_head:5"}, []string{"model.norm"}, 0.5
	for name, c := range map[string]multilora.Config{
		"lora": loraConfig(multilora.MethodLoRA, 1, 8), "multilora": loraConfig(multilora.MethodMultiLoRA, 3, 8),
		"per output": perOutput, "biases of B": biased, "dora": loraConfig(multilora.MethodDoRA, 1, 4),
		"embedding and head": beside, "tokens and a norm": rows,
	} {
		for _, dtype := range []tensor.DType{tensor.F32, tensor.BF16} {
			for _, rows := range []int{1, 3, 8} {
				t.Run(fmt.Sprintf("%s, %s, %d rows", name, dtype, rows), func(t *testing.T) {
					m := modelForAdapters(t, dtype, false)
					a := attached(t, m, c, 3)
					d := newTwoDecoders(t, m, rows, 40)
					d.step("a prompt", 4, 2, 3)
					d.tokens("attached")
					d.tokens("attached")
					shift(m, 4)
					d.tokens("other numbers")
					a.Detach()
					d.tokens("detached")
					if err := a.Attach(); err != nil {
						t.Fatal(err)
					}
					d.tokens("attached again")
					d.step("a piece", 2, 1)
					if rows > 1 {
						d.step("a row without", 1, 0, 1)
						d.step("a row without", 1, 0, 1)
						d.tokens("a row that goes on")
					}
					for _, p := range nn.Params(m) {
						if !p.Frozen { // as optim.Gather lets them move
							p.Value = m.Device().FromFloat32s(p.Value.DType(), slices.Repeat([]float32{0.1}, p.Value.Numel()), p.Value.Shape()...)
						}
					}
					d.tokens("parameters elsewhere")
					if _, err := a.Merge(); err != nil {
						t.Fatal(err)
					}
					d.tokens("merged")
					if err := a.Unmerge(); err != nil {
						t.Fatal(err)
					}
					d.tokens("taken out")
					if err := a.Attach(); err != nil {
						t.Fatal(err)
					}
					d.tokens("attached after merging")
					for _, p := range nn.Params(m) {
						if !p.Frozen {
							p.Grad = m.Device().Like(p.Value)
						}
					}
					shift(m, 5)
					d.step("while it trains", 1)
					d.step("while it trains", 1)
					if err := m.Device().Err(); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

// A text between the steps of a training run takes as many kernels a token as one of a process that only reads the model: B is
// scaled once, and the A's of layers that see the same input lie together.
func TestTokensBetweenSteps(t *testing.T) {
	for _, c := range []multilora.Config{loraConfig(multilora.MethodLoRA, 1, 16), loraConfig(multilora.MethodMultiLoRA, 2, 8)} {
		for _, dtype := range []tensor.DType{tensor.F32, tensor.BF16} {
			m := modelForAdapters(t, dtype, false)
			attached(t, m, c, 3)
			d := newTwoDecoders(t, m, 1, 30)
			d.step("a prompt", 4)
			d.tokens("attached")
			before := d.again.Kernels()
			if _, err := optim.Gather(m.Device(), m); err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(2) {
				shift(m, seed)
				d.tokens("while it trains")
				if n := d.again.Kernels(); n != before || before == 0 {
					t.Errorf("%s in %s: %d kernels a token while it trains, %d before", c.Method, dtype, n, before)
				}
			}
		}
	}
}

// So are those of rows that have adapters of their own.
func TestTokensAgainWithRowsOfTheirOwn(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.F32, tensor.BF16} {
		m := modelForAdapters(t, dtype, true)
		set := multilora.NewSet(m)
		for i, c := range []multilora.Config{loraConfig(multilora.MethodLoRA, 1, 8), loraConfig(multilora.MethodMultiLoRA, 2, 3)} {
			a := attached(t, m, c, uint64(i))
			if err := set.Add([]string{"one", "two"}[i], a); err != nil {
				t.Fatal(err)
			}
		}
		d := newTwoDecoders(t, m, 3, 30)
		d.step("a prompt", 2, 4, 3)
		for _, names := range [][]string{{"one", "", "two"}, {"two", "two", "one"}, {"", "one", ""}} {
			if err := set.UseRows(names...); err != nil {
				t.Fatal(err)
			}
			d.tokens(fmt.Sprint(names))
			shift(m, 8)
			d.tokens(fmt.Sprint("other numbers of ", names))
		}
		if err := set.Use("two"); err != nil {
			t.Fatal(err)
		}
		d.tokens("one for all")
	}
}

// otherwise is a layer of which nobody knows whether it changes.
type otherwise struct{ *nn.Linear }

func TestUnknownLayersAreAsked(t *testing.T) {
	m := modelForAdapters(t, tensor.F32, false)
	m.Blocks[1].MLP.Up = otherwise{m.Blocks[1].MLP.Up.(*nn.Linear)}
	d := newTwoDecoders(t, m, 1, 8)
	for range 3 {
		if d.step("a layer of its own", 1); d.again.Repeats() {
			t.Fatal("it is run again")
		}
	}
}
