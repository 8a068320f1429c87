package train

import (
	"errors"
	"fmt"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
)

// What of an adapter trains.
const (
	TrainAll    = "all"
	TrainScales = "scales" // the scalings of MultiLoRA: how loud each module is
)

// joinBranches puts the adapters of branches beside the model's layers as the modules of one.
func (r *run) joinBranches(m *llama.Model) (err error) {
	cfg := &r.cfg
	r.adapter, err = multilora.AttachBranches(m, cfg.Branches, cfg.Adapter.Scaling,
		multilora.Options{AnyBase: r.options.AnyBase})
	if err != nil {
		return cfg.wrong("branches", err)
	}
	return r.adopt("the adapters of branches make it")
}

func (c *Config) checkBranches() error {
	switch {
	case len(c.Branches) == 0:
	case c.full():
		return fmt.Errorf("want none with method full (everything trains), got %v", c.Branches)
	case c.FromAdapter != "":
		return fmt.Errorf("want none with from-adapter, got both %v and %s", c.Branches, c.FromAdapter)
	}
	return nil
}

func (c *Config) checkTrain() error {
	if c.Train == TrainScales && c.Adapter.Method != multilora.MethodMultiLoRA && c.FromAdapter == "" {
		return fmt.Errorf("want %s with method %s (it has no scalings), got %s", TrainAll, c.Adapter.Method, c.Train)
	}
	return nil
}

func (c *Config) checkLoRAPlusRatio() error {
	if c.LoRAPlusRatio != 1 && c.full() {
		return fmt.Errorf("want 1 with method full (there is no B), got %v", c.LoRAPlusRatio)
	}
	if c.LoRAPlusRatio != 1 && c.Train == TrainScales {
		return errors.New("want 1 with train: scales, where B does not train")
	}
	return nil
}
