package llama

func init() {
	register(&family{
		modelType: "llama",
		class:     "LlamaForCausalLM",
		missing: defaults{
			vocab: 32000, hidden: 4096, intermediate: 11008, layers: 32, heads: 32, positions: 2048,
		},
		read: (*fields).biases,
		write: func(c *Config, out map[string]any) error {
			c.setBiases(out)
			return nil
		},
		gguf: ggufForm{
			architecture: "llama",
			interleaved:  true,
			read:         (*ggufKeys).biases,
		},
	})
}
