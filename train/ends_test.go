package train

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
)

// A Trainer without a run has no data whose ends a model could be taught.
func TestTrainerLeavesTheEnds(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := tinymodel.Config()
	c.BOS, c.EOS = -1, []int32{5}
	m, err := llama.New(d, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Adapter.Method, cfg.MaxTokens = MethodFull, 16
	if _, err := NewTrainer(m, cfg); err != nil {
		t.Fatal(err)
	}
	if m.Config.BOS != -1 || !slices.Equal(m.Config.EOS, []int32{5}) {
		t.Errorf("BOS %d, EOS %v", m.Config.BOS, m.Config.EOS)
	}
}
