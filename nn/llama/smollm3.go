package llama

import (
	"cmp"
	"fmt"
	"math"

	"github.com/agora-ml/agora/encoding/gguf"
)

// SmolLM3 has no rotary positions in every fourth layer, or in those that its config.json says
// (Yang et al., 2501.18795).
func init() {
	const interval = 4
	register(&family{
		modelType: "smollm3",
		class:     "SmolLM3ForCausalLM",
		missing: defaults{
			vocab: 128256, hidden: 2048, intermediate: 11008, layers: 36, heads: 16, kvHeads: 4, positions: 32768,
			theta: 2e6, tied: true,
		},
		windows: true,
		read: func(f *fields, c *Config) {
			f.biases(c)
			c.NoRoPE = f.noRoPELayers(c.Layers, interval)
			missing := 0
			if f.flag("use_sliding_window", false) {
				missing = f.sizeOrNull("sliding_window", 0, 0, math.MaxInt32)
			}
			c.Windows = f.windows(c.Layers, missing, c.Layers)
			if c.Windows == nil && missing > 0 && !f.has("layer_types") {
				c.Windows = windowsWithoutRoPE(c.NoRoPE, missing)
			}
		},
		write: func(c *Config, out map[string]any) error {
			c.setBiases(out)
			with := make([]int, c.Layers)
			for i := range with {
				if c.NoRoPE == nil || !c.NoRoPE[i] {
					with[i] = 1
				}
			}
			out["no_rope_layers"] = with
			return c.setLaterWindows(out)
		},
		gguf: ggufForm{
			architecture: "smollm3",
			interleaved:  true,
			read:         (*ggufKeys).biases,
			write: func(c *Config, _ string) ([]gguf.KeyValue, error) {
				for i := range c.Layers { // llama.cpp has no key for it
					if want := (i+1)%interval == 0; want != (c.NoRoPE != nil && c.NoRoPE[i]) {
						return nil, &Error{
							Field: "no_rope_layers", Want: "every fourth layer: GGUF has no other for smollm3",
							Got: fmt.Sprint(c.NoRoPE),
						}
					}
				}
				return nil, noWindowInGGUF(c, "smollm3")
			},
			differs: func(c *Config) error { return cmp.Or(windowIgnored(c), factorsIgnored(c)) },
		},
	})
}

// noRoPELayers reads the list of 1 where a layer has rotary positions and 0 where not, or else
// no_rope_layer_interval.
func (f *fields) noRoPELayers(layers, missing int) []bool {
	every := f.size("no_rope_layer_interval", missing, math.MaxInt32)
	out, some := make([]bool, layers), false
	var given []int
	listed := f.get("no_rope_layers", "a list of 0 and 1", &given)
	if listed && len(given) < layers {
		f.fail("no_rope_layers", fmt.Sprintf("%d layers", layers), fmt.Sprint(len(given)))
		return nil
	}
	for i := range out {
		out[i] = (i+1)%every == 0
		if listed {
			out[i] = given[i] == 0
		}
		some = some || out[i]
	}
	if !some {
		return nil
	}
	return out
}

// windowsWithoutRoPE is a window in every layer that has no rotary positions.
func windowsWithoutRoPE(noRoPE []bool, window int) []int {
	out := make([]int, len(noRoPE))
	for i, no := range noRoPE {
		if no {
			out[i] = window
		}
	}
	return out
}
