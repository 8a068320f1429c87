package train

import (
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
)

// What Config.Offload chooses; see llama.LoadOptions.Offload.
const (
	OffloadNothing = "none"
	OffloadWeights = "weights"
)

// unchanged returns an error for a model's file that was written to while its weights are used where they lie.
func (c *Config) unchanged() error {
	if c.Offload != OffloadWeights {
		return nil
	}
	return mapped.Changed()
}

// offloaded is how many bytes of a model's weights are not in the device's memory, and how many a micro-batch brings
// there, or reads from the file if the memory has not kept them: all on the way forward and all on the way back, on a
// GPU but the two blocks that the end of either direction leaves there.
func offloaded(m *llama.Model, gpu bool) (bytes, brought int) {
	blocks := make([]int, len(m.Blocks))
	for i, b := range m.Blocks {
		for _, p := range nn.Params(b) {
			if gpu || p.Value.Borrowed() {
				blocks[i] += p.Value.Bytes()
			}
		}
	}
	for i, n := range blocks {
		bytes += n
		for _, there := range []bool{i < 2, i >= len(blocks)-2} {
			if !gpu || !there {
				brought += n
			}
		}
	}
	for _, p := range nn.Params(m) {
		if p.Value.Borrowed() {
			bytes += p.Value.Bytes()
		}
	}
	if !gpu {
		for _, n := range blocks { // counted twice now
			bytes -= n
		}
		if head := m.HeadWeight(); head.Value.Borrowed() {
			brought += 2 * head.Value.Bytes()
		}
	}
	return bytes, brought
}
