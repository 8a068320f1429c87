package llama

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestQwen3Config(t *testing.T) {
	c, err := parseConfig("config.json", with(t, map[string]any{"model_type": "qwen3", "attention_bias": true}))
	if err != nil {
		t.Fatal(err)
	}
	if c.HeadDim != 128 || !c.QKVBias || !c.OBias || c.MLPBias || c.Windows != nil {
		t.Errorf("got %+v", c)
	}
	c, err = parseConfig("config.json", with(t, map[string]any{
		"model_type": "qwen3", "use_sliding_window": true, "sliding_window": 9, "max_window_layers": 1,
	}))
	if err != nil || !slices.Equal(c.Windows, []int{0, 9}) {
		t.Errorf("windows %v, error %v", c.Windows, err)
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseConfig("again", out)
	if err != nil || !slices.Equal(again.Windows, c.Windows) || again.HeadDim != c.HeadDim {
		t.Errorf("written and read: %+v, error %v", again, err)
	}
	if err := c.LlamaCppError(); err == nil || !strings.Contains(err.Error(), "sliding_window") {
		t.Errorf("llama.cpp's windows: error %v", err)
	}
}
