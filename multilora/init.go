package multilora

import (
	"fmt"
	"hash/fnv"
	"math"

	"github.com/agora-ml/agora/random"
)

// initial gives a layer's modules as they begin: every A_i uniform within 1/√in and every
// B_i within 1/√r (Kaiming-uniform, a = √5), s zero, so that the model begins as its
// base and at first only s has a gradient. LoRA begins as its base by a B of zeros, and so does
// MultiLoRA with StartZeroB, with every s at 1.
func initial(layer string, in, out int, cfg Config, seed uint64) []module {
	ms := make([]module, cfg.Modules)
	for i := range ms {
		m := &ms[i]
		m.a = uniform(seed, tensorName(layer, "A", i), in, cfg.Rank*in)
		if cfg.learnsScaling() {
			m.s = make([]float32, cfg.scalings(out))
		}
		if cfg.learnsScaling() && cfg.Start != StartZeroB {
			m.b = uniform(seed, tensorName(layer, "B", i), cfg.Rank, out*cfg.Rank)
			continue
		}
		m.b = make([]float32, out*cfg.Rank)
		if cfg.Bias {
			m.bias = make([]float32, out)
		}
		for k := range m.s {
			m.s[k] = 1
		}
	}
	return ms
}

// uniform draws n numbers within 1/√fanIn, from a stream that depends on the seed and the
// tensor's name alone: neither other layers nor other modules move it.
func uniform(seed uint64, name string, fanIn, n int) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	id := h.Sum64()
	r := random.NewStream(seed, random.Init, uint32(id), uint32(id>>32))
	bound := 1 / math.Sqrt(float64(fanIn))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(bound * (2*float64(r.Float32()) - 1))
	}
	return x
}

// tensorName is the name of one module's tensor: "model.layers.0.self_attn.q_proj.A.1".
func tensorName(layer, part string, module int) string {
	return fmt.Sprintf("%s.%s.%d", layer, part, module)
}
