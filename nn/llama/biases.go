package llama

// attentionBiases reads attention_bias, which all four projections of attention have together.
func (f *fields) attentionBiases(c *Config) {
	c.QKVBias = f.flag("attention_bias", false)
	c.OBias = c.QKVBias
}

// biases reads attention_bias and mlp_bias.
func (f *fields) biases(c *Config) {
	f.attentionBiases(c)
	c.MLPBias = f.flag("mlp_bias", false)
}

// setBiases is the inverse of biases.
func (c *Config) setBiases(out map[string]any) {
	out["attention_bias"], out["mlp_bias"] = c.QKVBias, c.MLPBias
}

// attentionBiases finds in a GGUF file whether attention has biases, which no key says.
func (k *ggufKeys) attentionBiases(config map[string]any) {
	config["attention_bias"] = k.file.Has("blk.0.attn_q.bias")
}

// biases is attentionBiases, and the same of the feed-forward part.
func (k *ggufKeys) biases(config map[string]any) {
	k.attentionBiases(config)
	config["mlp_bias"] = k.file.Has("blk.0.ffn_gate.bias")
}
