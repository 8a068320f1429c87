package llama

import (
	"fmt"
	"math"
	"slices"
)

// What config.json's layer_types says of a layer.
const (
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// windows reads sliding_window, which is missing where it is not there, and layer_types,
// which says what layers have it; else those from the given layer on do. With missing 0
// there is none, whatever sliding_window says.
func (f *fields) windows(layers, missing, from int) []int {
	window := 0
	if missing > 0 {
		window = f.sizeOrNull("sliding_window", missing, 0, math.MaxInt32)
	}
	var types []string
	if f.get("layer_types", "a list of texts", &types) && len(types) != layers {
		f.fail("layer_types", fmt.Sprintf("%d layers", layers), fmt.Sprint(len(types)))
		return nil
	}
	out := make([]int, layers)
	for i := range out {
		switch {
		case types == nil:
			if i >= from {
				out[i] = window
			}
		case types[i] == slidingAttention && window > 0:
			out[i] = window
		case types[i] == slidingAttention:
			f.fail("layer_types", `"full_attention" where no sliding_window is used`,
				fmt.Sprintf("%q of layer %d", types[i], i))
		case types[i] != fullAttention:
			f.fail("layer_types", `"full_attention" or "sliding_attention"`, fmt.Sprintf("%q", types[i]))
		}
	}
	if slices.Max(out) == 0 {
		return nil
	}
	return out
}

// window is what layer i sees.
func (c *Config) window(i int) int {
	if c.Windows == nil {
		return 0
	}
	return c.Windows[i]
}

// layerTypes returns the one window that layers have, 0 if none has one, and which have it.
func (c *Config) layerTypes() (window int, types []string, err error) {
	types = make([]string, len(c.Windows))
	for i, w := range c.Windows {
		types[i] = fullAttention
		if w > 0 {
			types[i] = slidingAttention
		}
		if w > 0 && window > 0 && w != window || w < 0 {
			return 0, nil, &Error{
				Field: "sliding_window",
				Want:  "one window for all layers that have one",
				Got:   fmt.Sprint(c.Windows),
			}
		}
		window = max(window, w)
	}
	return window, types, nil
}

// laterWindows reads the window that the later layers have if use_sliding_window asks for it.
func (f *fields) laterWindows(layers, missing int) []int {
	if !f.flag("use_sliding_window", false) {
		missing = 0
	}
	return f.windows(layers, missing, f.count("max_window_layers", 28))
}

// setLaterWindows is the inverse of laterWindows.
func (c *Config) setLaterWindows(out map[string]any) error {
	window, types, err := c.layerTypes()
	if err != nil {
		return err
	}
	out["use_sliding_window"] = window > 0
	if window > 0 {
		out["sliding_window"], out["layer_types"] = window, types
	}
	return nil
}

// setWindow writes one window of all layers, or of those that layer_types names where some have none.
func (c *Config) setWindow(out map[string]any) error {
	window, types, err := c.layerTypes()
	if err != nil {
		return err
	}
	out["sliding_window"] = nil
	if window > 0 {
		out["sliding_window"] = window
	}
	if window > 0 && slices.Contains(types, fullAttention) {
		out["layer_types"] = types
	}
	return nil
}

// The keys of a GGUF file: the window that layers have, and n where each nth layer has none.
const (
	windowKey        = "attention.sliding_window"
	windowPatternKey = "attention.sliding_window_pattern"
)

// windowPeriod returns n where each nth layer sees all positions and the others have a window, 0 where all have one;
// false for layers in another order.
func (c *Config) windowPeriod() (n int, ok bool) {
	n = 1 + slices.IndexFunc(c.Windows, func(w int) bool { return w == 0 })
	for i, w := range c.Windows {
		if full := n > 0 && (i+1)%n == 0; full != (w == 0) {
			return 0, false
		}
	}
	return n, true
}

// noWindowInGGUF refuses what the keys of a GGUF file cannot say of an architecture.
func noWindowInGGUF(c *Config, architecture string) error {
	window, _, err := c.layerTypes()
	if err == nil && window > 0 {
		err = &Error{
			Field: "use_sliding_window",
			Want:  "false: GGUF has no sliding window for " + architecture,
			Got:   "true",
		}
	}
	return err
}

// windowIgnored returns an error if some layer does not see all positions, for the families
// whose window llama.cpp passes over.
func windowIgnored(c *Config) error {
	for i := range c.Layers {
		if w := c.window(i); w > 0 && w < c.MaxPositions {
			return &Error{
				Field: "sliding_window",
				Want: fmt.Sprintf("none, or at least the %d positions of the model: llama.cpp lets a %s see all "+
					"positions"+
					" (null in config.json, if no text is longer)", c.MaxPositions, c.ModelType),
				Got: fmt.Sprint(w),
			}
		}
	}
	return nil
}
