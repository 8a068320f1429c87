// Program nano is a GPT in one file, of Agora's operations alone: it learns to continue a text, its
// own source where no other is given, and prints what it makes up.
//
//	go run ./examples/nano -text shakespeare.txt -steps 2000 -device auto
//
// In comments, shapes are [B batch, T tokens, C channels], H heads of D = C/H.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
)

//go:embed main.go
var source string

// The model's size, and what a step looks at.
const (
	layers   = 2
	heads    = 4
	channels = 64
	context  = 64 // tokens that are seen
	batch    = 8  // pieces of text of a step
	rate     = 5e-3
)

func main() {
	file := flag.String("text", "", "text to learn (default: this program)")
	steps := flag.Int("steps", 400, "training steps")
	name := flag.String("device", "auto", "where to compute: auto, cpu or vulkan")
	flag.Parse()
	text := source
	if *file != "" {
		data, err := os.ReadFile(*file)
		if err != nil {
			log.Fatal(err)
		}
		text = string(data)
	}
	d, err := device.Open(*name)
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	_, sample, err := run(d, text, *steps)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("\n%s\n", sample)
}

// run trains for some steps and gives the last loss and a sample.
func run(d *tensor.Device, text string, steps int) (loss float64, sample string, err error) {
	vocab, tokens := tokenize(text)
	if len(tokens) <= context {
		return 0, "", fmt.Errorf("the text has %d characters, want more than %d", len(tokens), context)
	}
	r := rand.New(rand.NewPCG(1, 2))
	m := newGPT(d, r, len(vocab))
	params, err := optim.Gather(d, m)
	if err != nil {
		return 0, "", err
	}
	adam, err := optim.New(params, optim.AdamW{Betas: [2]float32{0.9, 0.95}, Eps: 1e-8, WeightDecay: 0.1})
	if err != nil {
		return 0, "", err
	}
	fmt.Printf("%d characters of %d kinds, %d parameters, on %s\n", len(tokens), len(vocab), params.Numel(), d.Name())
	schedule := optim.Cosine(steps/10, steps)
	for step := range steps {
		tape := autograd.NewTape(d)
		ids, next := pieces(r, tokens)
		value := m.loss(ints(d, ids, batch, context), ints(d, next, batch*context))
		tape.Backward(value)
		params.ClipByNorm(1)
		adam.Step(rate * schedule(step+1))
		params.ZeroGrad()
		if step%50 == 0 || step == steps-1 {
			numbers, err := value.Tensor().Float64s()
			if err != nil {
				return 0, "", err
			}
			loss = numbers[0]
			fmt.Printf("step %4d  loss %.3f\n", step, loss)
		}
		tape.Close() // frees what the step has made
	}
	sample, err = m.continued(r, vocab, tokens[:1], 300)
	return loss, sample, err
}

// gpt is a decoder. Optim and checkpoints know its parameters by these names.
type gpt struct {
	Tokens *autograd.Param `name:"tokens"` // [vocab, C]: the embedding, and the head
	Blocks []*block        `name:"blocks"`
	Norm   *autograd.Param `name:"norm"` // [C]
	angles *autograd.Var   // of RoPE, [context, D]
}

type block struct {
	Norm1 *autograd.Param `name:"norm1"` // [C]
	QKV   *autograd.Param `name:"qkv"`   // [3C, C]
	Out   *autograd.Param `name:"out"`   // [C, C]
	Norm2 *autograd.Param `name:"norm2"` // [C]
	Up    *autograd.Param `name:"up"`    // [4C, C]
	Down  *autograd.Param `name:"down"`  // [C, 4C]
}

func newGPT(d *tensor.Device, r *rand.Rand, vocab int) *gpt {
	weights := func(deviation float64, shape ...int) *autograd.Param {
		x := make([]float32, tensor.Numel(shape))
		for i := range x {
			x[i] = float32(deviation * r.NormFloat64())
		}
		return autograd.NewParam(d.FromFloat32s(tensor.F32, x, shape...))
	}
	ones := func(n int) *autograd.Param {
		return autograd.NewParam(d.FromFloat32s(tensor.F32, slices.Repeat([]float32{1}, n), n))
	}
	m := &gpt{
		Tokens: weights(0.02, vocab, channels), Norm: ones(channels),
		angles: autograd.Const(d.FromFloat32s(tensor.F32, ops.RoPETable(context, channels/heads, ops.RoPEScaling{}),
			context, channels/heads)),
	}
	in := 1 / math.Sqrt(channels)    // keeps the size of what a matrix multiplies
	back := in / math.Sqrt(2*layers) // so many outputs add up in the residual stream
	for range layers {
		m.Blocks = append(m.Blocks, &block{
			Norm1: ones(channels), QKV: weights(in, 3*channels, channels), Out: weights(back, channels, channels),
			Norm2: ones(channels), Up: weights(in, 4*channels, channels), Down: weights(back/2, channels, 4*channels),
		})
	}
	return m
}

// forward maps ids [B, T] to what the head reads, [B, T, C].
func (m *gpt) forward(ids *autograd.Var) *autograd.Var {
	x := ops.Embedding(m.Tokens.Var(), ids)
	for _, b := range m.Blocks {
		x = ops.Add(x, b.attention(ops.RMSNorm(x, b.Norm1.Var(), 1e-5), m.angles))
		x = ops.Add(x, b.mlp(ops.RMSNorm(x, b.Norm2.Var(), 1e-5)))
	}
	return ops.RMSNorm(x, m.Norm.Var(), 1e-5)
}

// attention lets every token look at those before it and at itself.
func (b *block) attention(x, angles *autograd.Var) *autograd.Var {
	B, T, C := x.Dim(0), x.Dim(1), x.Dim(2)
	qkv := ops.Split(ops.Linear(x, b.QKV.Var(), nil), -1, C, C, C)
	for i := range qkv {
		qkv[i] = ops.Reshape(qkv[i], B, T, heads, C/heads)
	}
	q, k := ops.RoPE(qkv[0], angles, nil), ops.RoPE(qkv[1], angles, nil)
	y := ops.Attention(q, k, qkv[2], ops.AttentionOptions{}) // causal
	return ops.Linear(ops.Reshape(y, B, T, C), b.Out.Var(), nil)
}

// mlp is the same small network on every token.
func (b *block) mlp(x *autograd.Var) *autograd.Var {
	return ops.Linear(ops.GELUTanh(ops.Linear(x, b.Up.Var(), nil)), b.Down.Var(), nil)
}

// loss is the mean of -log of the probability of each next token.
func (m *gpt) loss(ids, next *autograd.Var) *autograd.Var {
	x := ops.Reshape(m.forward(ids), -1, channels)
	return ops.LinearCrossEntropy(x, m.Tokens.Var(), next, x.Dim(0))
}

// continued draws n tokens one after the other, each by the probabilities that the model gives.
func (m *gpt) continued(r *rand.Rand, vocab []rune, begin []int32, n int) (string, error) {
	d := m.Tokens.Value.Device()
	tokens := slices.Clone(begin)
	for range n {
		seen := tokens[max(0, len(tokens)-context):]
		scope := d.Scope() // without a tape nothing is recorded, and this frees what a step has made
		x := m.forward(ints(d, seen, 1, len(seen)))
		last := ops.Reshape(ops.Slice(x, 1, len(seen)-1, len(seen)), 1, channels)
		p, err := ops.Softmax(ops.Linear(last, m.Tokens.Var(), nil)).Tensor().Float64s()
		scope.Close()
		if err != nil {
			return "", err
		}
		next, left := 0, r.Float64()
		for ; next < len(p)-1 && left >= p[next]; next++ {
			left -= p[next]
		}
		tokens = append(tokens, int32(next))
	}
	text := make([]rune, len(tokens))
	for i, t := range tokens {
		text[i] = vocab[t]
	}
	return string(text), nil
}

// tokenize numbers the characters of a text.
func tokenize(text string) (vocab []rune, tokens []int32) {
	vocab = []rune(text)
	slices.Sort(vocab)
	vocab = slices.Compact(vocab)
	for _, c := range text {
		i, _ := slices.BinarySearch(vocab, c)
		tokens = append(tokens, int32(i))
	}
	return vocab, tokens
}

// pieces draws the texts of a step, and for each of their tokens the next one.
func pieces(r *rand.Rand, tokens []int32) (ids, next []int32) {
	for range batch {
		at := r.IntN(len(tokens) - context)
		ids = append(ids, tokens[at:at+context]...)
		next = append(next, tokens[at+1:at+context+1]...)
	}
	return ids, next
}

func ints(d *tensor.Device, x []int32, shape ...int) *autograd.Var {
	return autograd.Const(d.FromInt32s(x, shape...))
}
