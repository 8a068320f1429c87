package main

import "strings"

// spelled are the words that Go writes otherwise than with one capital.
var spelled = map[string]string{
	"rms": "RMS", "mse": "MSE", "swiglu": "SwiGLU", "adamw": "AdamW", "sgd": "SGD", "rope": "RoPE", "kv": "KV",
	"lr":   "LR",
	"lora": "LoRA", "cumsum": "CumSum",
}

// camel turns rms_norm into RMSNorm. A field called out_, because GLSL keeps out for itself, is Out.
func camel(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "_") {
		if s, ok := spelled[word]; ok {
			b.WriteString(s)
		} else if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
