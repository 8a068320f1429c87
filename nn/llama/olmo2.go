package llama

// OLMo 2 norms what attention and the feed-forward part add, not what they read, and all queries
// and all keys of a token as one row (2501.00656, section 3.2).
func init() {
	register(&family{
		modelType: "olmo2",
		class:     "Olmo2ForCausalLM",
		missing: defaults{
			vocab: 50304, hidden: 4096, intermediate: 11008, layers: 32, heads: 32, positions: 2048, eps: 1e-5,
		},
		read: (*fields).attentionBiases,
		write: func(c *Config, out map[string]any) error {
			out["attention_bias"] = c.QKVBias
			return nil
		},
		block: func(b *builder, block *Block) {
			c := &b.config
			block.InputNorm, block.MLPNorm = nil, nil
			block.AttentionOutNorm, block.MLPOutNorm = b.norm(c.Hidden), b.norm(c.Hidden)
			block.Attention.HeadsTogether = true
			block.Attention.QNorm = b.norm(c.Heads * c.HeadDim)
			block.Attention.KNorm = b.norm(c.KVHeads * c.HeadDim)
		},
		gguf: ggufForm{
			architecture: "olmo2",
			tensors: [][2]string{
				{"attn_q_norm.weight", "self_attn.q_norm.weight"},
				{"attn_k_norm.weight", "self_attn.k_norm.weight"},
				{"post_attention_norm.weight", "post_attention_layernorm.weight"},
				{"post_ffw_norm.weight", "post_feedforward_layernorm.weight"},
			},
			read:    (*ggufKeys).attentionBiases,
			differs: factorsIgnored,
		},
	})
}
