package cpu

import "github.com/agora-ml/agora/tensor"

// Call is one call of a kernel of the caller's own (see Register), its arguments being numbers of
// type F. 16-bit and quantized ones are widened before and rounded after.
type Call[F float32 | float64] struct {
	w *work
	a args[F]
}

// Floats are the elements of argument i in the order of the kernel's bindings; nil where an
// optional one is not given.
func (c Call[F]) Floats(i int) []F { return c.a.f[i] }

// Ints are the elements of argument i, which is of indices.
func (c Call[F]) Ints(i int) []int32 { return c.a.i[i] }

// Rows cuts [0, n) into chunks of grain, which several threads take, and returns when f has been
// called for all of them. The chunks are the same for any number of threads; write what follows
// from them alone, and so do the results.
func (c Call[F]) Rows(n, grain int, f func(lo, hi int)) { c.w.team.Rows(n, grain, f) }

// Register gives a kernel of the caller's own, which shaders.Register has made known, what it
// does on the CPU: in float32, and in float64 for checks of gradients; one generic function is
// both. Call it from an init function: Register(f[float32], f[float64]). Twice panics.
func Register[K tensor.Kernel](f32 func(Call[float32], K), f64 func(Call[float64], K)) {
	plain(
		func(w *work, k K, a args[float32]) { f32(Call[float32]{w, a}, k) },
		func(w *work, k K, a args[float64]) { f64(Call[float64]{w, a}, k) },
	)
}
