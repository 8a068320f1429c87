package llama

func init() {
	register(&family{
		modelType: "llama",
		class:     "LlamaForCausalLM",
		missing: defaults{
			vocab: 32000, hidden: 4096, intermediate: 11008, layers: 32, heads: 32, positions: 2048,
		},
		read: func(f *fields, c *Config) {
			c.QKVBias = f.flag("attention_bias", false)
			c.OBias = c.QKVBias
			c.MLPBias = f.flag("mlp_bias", false)
		},
		write: func(c *Config, out map[string]any) error {
			out["attention_bias"], out["mlp_bias"] = c.QKVBias, c.MLPBias
			return nil
		},
		gguf: ggufForm{
			architecture: "llama",
			interleaved:  true,
			read: func(k *ggufKeys, config map[string]any) {
				config["attention_bias"] = k.file.Has("blk.0.attn_q.bias")
				config["mlp_bias"] = k.file.Has("blk.0.ffn_gate.bias")
			},
		},
	})
}
