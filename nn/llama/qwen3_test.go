package llama

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn"
)

// A Qwen3 keeps its logits through its folder and its GGUF file, and its norms count.
func TestQwen3RoundTrip(t *testing.T) {
	d := open(t)
	m := create(t, d, small("qwen3"))
	for name, p := range nn.Params(m) { // norms of 1 would test nothing
		if strings.Contains(name, "q_norm") || strings.Contains(name, "k_norm") {
			p.Value = nn.NewInitializer(d, 11).Uniform(2, p.Value.Shape()...).Value
		}
	}
	b := Batch{Rows: 1, IDs: text(1, 12, m.Config.Vocab)}
	want := logits(t, m, b)
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(logits(t, load(t, d, dir), b), want) {
		t.Error("other logits from the folder")
	}
	path := saveGGUF(t, m, GGUFOptions{})
	if !slices.Equal(logits(t, load(t, d, path), b), want) {
		t.Error("other logits from the GGUF file")
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if kind, _ := f.Value("general.architecture"); kind != "qwen3" || !f.Has("blk.1.attn_k_norm.weight") {
		t.Errorf("the file is a %v", kind)
	}
	m.Blocks[1].Attention.KNorm = nil
	if slices.Equal(logits(t, m, b), want) {
		t.Error("without a norm of keys the logits are the same")
	}
}

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
