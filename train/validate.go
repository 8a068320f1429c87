package train

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/agora-ml/agora/internal/yamlfile"
	"github.com/agora-ml/agora/multilora"
)

// Validate returns an error that names the first invalid setting. What only the files
// can tell, a run finds before its first step.
func (c Config) Validate() error {
	switch {
	case c.Model == "" && c.FromScratch == "":
		return c.wrongf("model", "want a folder or file, got none (or from-scratch for a new model)")
	case c.Model != "" && c.FromScratch != "":
		return c.wrongf("from-scratch", "want it without model, got both %s and %s", c.FromScratch, c.Model)
	case c.FromScratch != "" && !c.full():
		return c.wrongf("method", "want full with from-scratch (a new model has nothing to adapt), got %s",
			c.Adapter.Method)
	case c.FromScratch != "" && c.Tokenizer == "":
		return c.wrongf("tokenizer", "want that of the new model, got none")
	case len(c.Data) == 0:
		return c.wrongf("data", "want at least one file, got none")
	case len(strings.Join(c.paths(), "")) > yamlfile.Most/2:
		return c.wrongf("data", "want files whose names have at most %d bytes together, got %d",
			yamlfile.Most/2, len(strings.Join(c.paths(), "")))
	case c.Out == "":
		return c.wrongf("out", "want a folder, got none")
	}
	if err := c.checkParts(); err != nil {
		return err
	}
	return c.validateRun()
}

// validateRun checks what does not name files.
func (c *Config) validateRun() error {
	settings := c.Settings()
	for _, s := range settings {
		if err := s.Check(); err != nil {
			return err
		}
	}
	for _, s := range settings {
		if s.check == nil {
			continue
		}
		if err := s.check(); err != nil {
			return c.wrong(s.Name, err)
		}
	}
	if c.full() {
		return nil
	}
	return c.Adapter.Validate()
}

// adapterGiven reports whether the run's adapter comes of one or several that are there.
func (c *Config) adapterGiven() bool { return c.FromAdapter != "" || len(c.Branches) > 0 }

// full reports whether the run has no adapter.
func (c *Config) full() bool { return c.Adapter.Method == MethodFull }

// hasEpochs reports whether the number of steps comes of epochs.
func (c *Config) hasEpochs() bool { return c.Epochs > 0 }

func (c *Config) checkDType() error {
	if c.full() && c.DType.IsQuantized() {
		return fmt.Errorf("want f32, bf16 or f16 with method full, got %s (quantized weights cannot train)", c.DType)
	}
	return nil
}

func (c *Config) checkComputeDType() error {
	if !c.DType.IsQuantized() && !c.asStored() && c.ComputeDType != "" && c.ComputeDType != c.DType.String() {
		return fmt.Errorf("want %[1]s with dtype %[1]s (another is for dtype q8, q4, q4_k or nf4), got %[2]s", c.DType,
			c.ComputeDType)
	}
	return nil
}

func (c *Config) checkFromAdapter() error {
	if c.full() && c.FromAdapter != "" {
		return fmt.Errorf("want none with method full (everything trains), got %s", c.FromAdapter)
	}
	return nil
}

func (c *Config) checkTrainAlso() error {
	if c.full() && len(c.Adapter.Extra) > 0 {
		return fmt.Errorf("want none with method full (everything trains), got %v", c.Adapter.Extra)
	}
	return nil
}

func (c *Config) checkLoRABias() error {
	if m := c.Adapter.Method; c.Adapter.Bias && m != multilora.MethodLoRA && m != multilora.MethodRSLoRA {
		return fmt.Errorf("want false with method %s, got true", m)
	}
	return nil
}

func (c *Config) checkTrainTokens() error {
	if c.full() && len(c.Adapter.Tokens) > 0 {
		return fmt.Errorf("want none with method full (everything trains), got %v", c.Adapter.Tokens)
	}
	return nil
}

func (c *Config) checkDropout() error {
	if c.full() && c.Adapter.Dropout != 0 {
		return fmt.Errorf("want 0 with method full (it is the adapter's), got %v", c.Adapter.Dropout)
	}
	return nil
}

func (c *Config) checkShard() error {
	if c.full() && c.Shard == ShardWeights {
		return fmt.Errorf("want %s or %s with method full (weights that train are not divided), got %s", ShardNothing,
			ShardOptimizer, c.Shard)
	}
	if !c.full() && c.Shard == ShardOptimizer {
		return fmt.Errorf("want %s or %s with an adapter (its moments are small), got %s", ShardNothing, ShardWeights, c.Shard)
	}
	return nil
}

func (c *Config) checkOffload() error {
	switch {
	case c.Offload != OffloadWeights:
	case c.full():
		return fmt.Errorf("want %s with method full (weights that train are in memory), got %s", OffloadNothing, c.Offload)
	case c.Shard == ShardWeights:
		return fmt.Errorf("want %s with shard %s (one of the two), got %s", OffloadNothing, c.Shard, c.Offload)
	}
	return nil
}

func (c *Config) checkSteps() error {
	if c.Steps > math.MaxUint32/c.Accumulate { // each micro-batch has random numbers of its own
		return fmt.Errorf("want at most %d micro-batches in all, got %d steps of %d", uint32(math.MaxUint32), c.Steps,
			c.Accumulate)
	}
	return nil
}

func (c *Config) checkScaleLR() error {
	switch {
	case c.ScaleLR == 0:
		return errors.New("want a positive factor, got 0 (with scales of 0 the adapter would stay the base model)")
	case c.LR*c.ScaleLR > math.MaxFloat32:
		return fmt.Errorf("want a product with lr that f32 holds, got %v times %v", c.ScaleLR, c.LR)
	}
	return nil
}

func (c *Config) checkWarmup() error {
	if c.WarmupSteps > c.Steps && c.Epochs == 0 {
		return fmt.Errorf("want at most the %d steps, got %d", c.Steps, c.WarmupSteps)
	}
	return nil
}

func (c *Config) checkLossScale() error {
	_, err := NewLossScale(c.LossScale)
	return err
}

func (c *Config) checkHeldOutSplit() error {
	if c.HeldOutSplit == "" {
		return nil
	}
	if c.HeldOut == 0 {
		return fmt.Errorf("want held-out rows beside it, got %.40q and held-out 0", c.HeldOutSplit)
	}
	for _, p := range c.Data {
		if p.Task != "" {
			return fmt.Errorf("want parts that are files of rows, got the task %s beside %.40q", p.Task, c.HeldOutSplit)
		}
	}
	return nil
}

func (c *Config) checkEarlyStop() error {
	if c.EarlyStop > 0 && !c.measures() {
		return fmt.Errorf("want eval-every and held-out (or eval-tasks, where best-by is one) beside it, got "+
			"eval-every %d, held-out %d", c.EvalEvery, c.HeldOut)
	}
	return nil
}

func (c *Config) checkResult() error {
	if c.FinalWeights == BestWeights && !c.measures() {
		return fmt.Errorf("best wants eval-every and held-out, got eval-every %d, held-out %d", c.EvalEvery, c.HeldOut)
	}
	return nil
}

// measures reports whether what the best weights are best in is measured while the run goes on.
func (c *Config) measures() bool {
	return c.EvalEvery > 0 && (c.HeldOut > 0 || c.BestBy != BestByHeldOut)
}
