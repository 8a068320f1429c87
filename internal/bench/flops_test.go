package bench

import (
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

func tinyShape() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: 100, Hidden: 8, Intermediate: 12, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 4,
		MaxPositions: 16, NormEps: 1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}
}

// By hand, with hidden 8, keys 4, inside 12, 100 words and rows of 5 tokens, which see 3 keys
// each on average: a block's linear layers have q 64, k 32, v 32, o 64, gate, up and down 96 each,
// 480 numbers together; the head has 800. An adapter of rank R has, in and out, q 16R, k 12R,
// v 12R, o 16R, gate 20R, up 20R, down 20R, 116R together.
func TestFLOPsByHand(t *testing.T) {
	const forward = 2 * (2*480 + 800) // 3520
	pair := 2 * 2 * 4 * 3.0           // 2 · heads · size · keys: one product of attention
	for _, c := range []struct {
		name   string
		change func(*train.Config)
		shape  func(*llama.Config)
		want   FLOPs
	}{
		// The first block's q, k and v need no gradient of their input, but the adapters do
		// count their own: 2·R·out of the narrow vector and 2·R·(in + out).
		{"multilora 3 x 2 on all", nil, nil, FLOPs{
			Forward:   forward + 2*2*6*116,
			Backward:  forward - 2*128 + 2*6*2*((8+4+4+8+12+12+8)+116+(8+8+8+8+8+8+12)) - 2*6*3*8,
			Attention: 2 * (2 + 4) * pair,
		}},
		// Only v of each block: q and k of the first one need no gradients, nor does its v's input.
		{"lora 4 on v", func(c *train.Config) {
			c.Adapter.Method, c.Adapter.Rank, c.Adapter.Targets = multilora.MethodLoRA, 4, []string{"v_proj"}
		}, nil, FLOPs{
			Forward:   forward + 2*2*4*12,
			Backward:  2*(352+480+800) + 2*2*4*(4+12) + 2*4*8,
			Attention: 2*2*pair + 1*pair + 4*pair,
		}},
		{"full", func(c *train.Config) { c.Adapter.Method = train.MethodFull }, nil, FLOPs{
			Forward: forward, Backward: 2 * forward, Attention: 2 * (2 + 4) * pair,
		}},
		// With a window of 2 the five queries see 1, 2, 2, 2, 2 keys.
		{"full, a window in the second layer", func(c *train.Config) { c.Adapter.Method = train.MethodFull },
			func(c *llama.Config) { c.ModelType, c.Windows = "mistral", []int{0, 2} },
			FLOPs{Forward: forward, Backward: 2 * forward, Attention: 6*pair + 6*pair*9/15}},
	} {
		cfg, shape := tinyConfig(), tinyShape()
		if c.change != nil {
			c.change(&cfg)
		}
		if c.shape != nil {
			c.shape(&shape)
		}
		trainer, _ := virtualTrainer(t, shape, cfg)
		if got := CountFLOPs(trainer.Model, 5); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What is counted is what a step runs that has too few rows for an adapter to be merged.
func TestFLOPsAreThoseOfAStep(t *testing.T) {
	for name, change := range map[string]func(*train.Config){
		"multilora": func(*train.Config) {},
		"lora on q and up": func(c *train.Config) {
			c.Adapter.Method, c.Adapter.Targets = multilora.MethodLoRA, []string{"q_proj", "up_proj"}
		},
		"lora with the norms": func(c *train.Config) {
			c.Adapter.Method, c.Adapter.Extra = multilora.MethodLoRA, []string{"norm"}
		},
		"lora with the head": func(c *train.Config) {
			c.Adapter.Method, c.Adapter.Extra = multilora.MethodLoRA, []string{"lm_head"}
		},
		"beside the embedding and the head": func(c *train.Config) {
			c.Adapter.Targets = []string{"embed_tokens", "v_proj", "lm_head"}
		},
		"with rows of tokens": func(c *train.Config) {
			c.Adapter.Targets, c.Adapter.Tokens = []string{"v_proj"}, []string{"1-3", "lm_head:2-4"}
		},
		"full": func(c *train.Config) { c.Adapter.Method = train.MethodFull },
	} {
		cfg := tinyConfig()
		cfg.BatchRows = 1
		change(&cfg)
		trainer, d := virtualTrainer(t, tinyShape(), cfg)
		products := 0
		d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
			if m, ok := k.(kernels.Matmul); ok {
				products += 2 * m.Batch * m.M * m.N * m.K
			}
		})
		batches := fullBatches(cfg, tinyShape().Vocab)
		if _, err := trainer.Step(batches); err != nil {
			t.Fatal(name, err)
		}
		f := CountFLOPs(trainer.Model, cfg.MaxTokens)
		if want := (f.Forward + f.Backward) * float64(cfg.BatchRows*cfg.MaxTokens); float64(products) != want {
			t.Errorf("%s: a step runs %d operations in products, counted are %v", name, products, want)
		}
	}
}

func tinyConfig() train.Config {
	cfg := train.Defaults()
	cfg.Adapter.Rank, cfg.MaxTokens, cfg.BatchRows, cfg.Steps = 2, 5, 3, 4
	return cfg
}

func virtualTrainer(t *testing.T, shape llama.Config, cfg train.Config) (*train.Trainer, *tensor.Device) {
	t.Helper()
	d := device.Meta(device.Options{})
	t.Cleanup(func() { d.Close() })
	storage, err := cfg.Storage()
	if err != nil {
		t.Fatal(err)
	}
	m, err := randomModel(d, shape, storage)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := train.NewTrainer(m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return trainer, d
}
