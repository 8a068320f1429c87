package multilora

import (
	"slices"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// Model is what an adapter stands beside: a pointer to layers whose parameters nn.Params finds
// and whose linear layers stand in slots of nn.Layers. *llama.Model and *nn.Sequential are such;
// a struct of one's own becomes one by its method Device.
type Model interface {
	// Device returns the device of the model's parameters.
	Device() *tensor.Device
}

// tiedHead returns the embedding of a language model that is its head as well; nil: there is none.
func tiedHead(model Model) *nn.Param {
	if m, ok := model.(*llama.Model); ok && m.Head == nil {
		return m.Embedding.Weight
	}
	return nil
}

// merged reports whether a model's configuration lists any adapter as merged.
func merged(model Model) bool {
	m, ok := model.(*llama.Model)
	return ok && len(m.Config.Merged) > 0
}

// holds reports whether a model's configuration lists the digest of an adapter among those that
// are merged into its weights.
func holds(model Model, digest string) bool {
	m, ok := model.(*llama.Model)
	return ok && slices.Contains(m.Config.Merged, digest)
}

// mark adds the adapter to those that the model knows to be in its weights.
func (a *Adapter) mark() error {
	m, ok := a.model.(*llama.Model)
	if !ok {
		return nil
	}
	digest, err := a.Digest()
	if err == nil {
		m.Config.Merged = append(slices.Clip(m.Config.Merged), digest)
	}
	return err
}

// unmark is the inverse of mark.
func (a *Adapter) unmark() error {
	m, ok := a.model.(*llama.Model)
	if !ok {
		return nil
	}
	digest, err := a.Digest()
	for i, d := range slices.Backward(m.Config.Merged) {
		if d == digest {
			m.Config.Merged = slices.Delete(slices.Clone(m.Config.Merged), i, i+1)
			break
		}
	}
	return err
}
