package llama

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/nn"
)

// biasFlags are the switches of a Config and the projections, by the last parts of their names, that have a bias with
// each.
func (c *Config) biasFlags() map[*bool][]string {
	return map[*bool][]string{
		&c.QKVBias: {"q_proj", "k_proj", "v_proj"},
		&c.OBias:   {"o_proj"},
		&c.MLPBias: {"gate_proj", "up_proj", "down_proj"},
	}
}

// AddBiases gives linear layers of the blocks, by their whole names, biases of zeros, and with them those that the
// family has only together. take takes them out again. A layer for whose bias the config.json of the family has no
// word is an error, and nothing changes.
func (m *Model) AddBiases(layers ...string) (take func(), err error) {
	before := m.Config
	config, err := before.withBiases(layers)
	if err != nil {
		return nil, err
	}
	var given []*nn.Linear
	for name, layer := range nn.Layers(m) {
		l, ok := (*layer).(*nn.Linear)
		if !ok || l.Bias != nil || !config.hasBias(name) {
			continue
		}
		w := l.Weight.Value
		dt := w.DType()
		if dt.IsQuantized() {
			dt = m.dtype
		}
		l.Bias = &nn.Param{Value: m.device.FromFloat32s(dt, make([]float32, w.Dim(0)), w.Dim(0)), Frozen: true}
		given = append(given, l)
	}
	m.Config.QKVBias, m.Config.OBias, m.Config.MLPBias = config.QKVBias, config.OBias, config.MLPBias
	return func() {
		for _, l := range given {
			l.Bias = nil
		}
		m.Config.QKVBias, m.Config.OBias, m.Config.MLPBias = before.QKVBias, before.OBias, before.MLPBias
	}, nil
}

// withBiases is the configuration of a model whose layers have biases, as its config.json reads it back.
func (c Config) withBiases(layers []string) (Config, error) {
	for flag, parts := range c.biasFlags() {
		*flag = *flag || slices.ContainsFunc(layers, func(name string) bool { return slices.Contains(parts, lastPart(name)) })
	}
	c.QKVBias = c.QKVBias || c.OBias // some families have one word for both
	text, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	read, err := parseConfig(ConfigFile, text)
	if err != nil {
		return c, err
	}
	for _, name := range layers {
		if !read.hasBias(name) {
			return c, fmt.Errorf("llama: a bias of layer %s: want a family whose %s has a word for it (attention_bias, "+
				"mlp_bias), got %s", name, ConfigFile, c.ModelType)
		}
	}
	return read, nil
}

// hasBias reports whether a layer, by its name, has a bias.
func (c *Config) hasBias(layer string) bool {
	for flag, parts := range c.biasFlags() {
		if slices.Contains(parts, lastPart(layer)) {
			return *flag
		}
	}
	return false
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
