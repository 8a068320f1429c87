package llama

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// Checkpointing gives the same bits of loss and gradients for at most 0.6 of the peak
// at 12 layers: a block keeps its input alone.
func TestCheckpointingSavesMemory(t *testing.T) {
	d := open(t)
	c := small("llama")
	c.Layers, c.MaxPositions = 12, 256
	m := create(t, d, c)
	train(m)
	b := NewBatch([][]int32{text(1, 100, c.Vocab), text(2, 70, c.Vocab)},
		[][]int32{text(3, 100, c.Vocab), text(4, 70, c.Vocab)})
	step(t, m, b, b.Counted()) // the rotary table is made once

	run := func(checkpointing bool) (loss float32, grads map[string][]float32, peak int) {
		for _, p := range nn.Params(m) {
			p.Grad.SetFloat32s(make([]float32, p.Grad.Numel()))
		}
		m.Checkpointing = checkpointing
		before := d.Stats().Live
		d.ResetPeak()
		loss = step(t, m, b, b.Counted())
		if live := d.Stats().Live; live != before {
			t.Errorf("checkpointing %v: %d bytes leaked", checkpointing, live-before)
		}
		return loss, gradients(t, m), d.Stats().Peak - before
	}
	loss, grads, peak := run(false)
	lossAgain, gradsAgain, peakAgain := run(true)
	if loss != lossAgain {
		t.Errorf("loss %v with checkpointing, %v without", lossAgain, loss)
	}
	for name, g := range grads {
		if !slices.Equal(g, gradsAgain[name]) {
			t.Errorf("other gradient of %s with checkpointing", name)
		}
	}
	if float64(peakAgain) > 0.6*float64(peak) {
		t.Errorf("peak of %d bytes with checkpointing, %d without: want at most 0.6 of it", peakAgain, peak)
	}
	t.Logf("peak beyond weights and gradients: %d bytes, with checkpointing %d (%.2f)", peak, peakAgain,
		float64(peakAgain)/float64(peak))
}

// Without a tape a block's memory is free again after it: eight blocks more cost eight
// times their input, not their insides.
func TestInferenceHoldsOneBlock(t *testing.T) {
	d := open(t)
	peak := func(layers int) int {
		c := small("llama")
		c.Layers = layers
		m := create(t, d, c)
		b := NewBatch([][]int32{text(1, 30, c.Vocab)}, nil)
		scope := d.Scope()
		m.Logits(b) // the rotary table is made once
		scope.Close()
		before := d.Stats().Live
		d.ResetPeak()
		scope = d.Scope()
		m.Logits(b)
		scope.Close()
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
		return d.Stats().Peak - before
	}
	input := tensor.F32.Bytes(30 * small("llama").Hidden)
	if two, ten := peak(2), peak(10); ten-two > 8*input*5/4 {
		t.Errorf("%d bytes for 2 layers, %d for 10: want at most %d more", two, ten, 8*input*5/4)
	}
}
