package vec

// SwiGLU sets y[i] = silu(gate[i]) * up[i].
func SwiGLU(y, gate, up []float32) {
	same("SwiGLU", len(y), len(gate), len(up))
	swiglu(y, gate, up)
}

func swigluGo(y, gate, up []float32) {
	gate, up = gate[:len(y)], up[:len(y)]
	for i := range y {
		y[i] = gate[i] / (1 + exp32(-gate[i])) * up[i]
	}
}

// SwiGLUGrad sets dgate and dup to the gradients of SwiGLU. Each of them may be
// the same slice as one of the sources.
func SwiGLUGrad(dgate, dup, dy, gate, up []float32) {
	same("SwiGLUGrad", len(dgate), len(dup), len(dy), len(gate), len(up))
	swigluGrad(dgate, dup, dy, gate, up)
}

func swigluGradGo(dgate, dup, dy, gate, up []float32) {
	n := len(dgate)
	dup, dy, gate, up = dup[:n], dy[:n], gate[:n], up[:n]
	for i := range dgate {
		g, u, d := gate[i], up[i], dy[i]
		s := sigmoid32(g)
		dgate[i] = d * u * (s * (g*(1-s) + 1))
		dup[i] = d * (g * s)
	}
}
