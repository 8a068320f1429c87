// Package vec has the single-threaded inner loops of the CPU kernels: vector
// routines on []float32 and on the 16-bit storage types.
//
// The destination comes first. Slices may have any length and alignment; their
// lengths must agree, or the routine panics. A destination may be the very
// same slice as one of the sources unless the routine says otherwise; slices
// that overlap in any other way give unspecified results.
//
// Every routine is written twice: the loop in Go (xGo), which is its meaning
// and runs everywhere, and assembly made by backend/cpu/asmgen, in AVX2+FMA,
// AVX-512 and NEON. The machine's fastest one is chosen at start; the build tag noasm leaves only
// Go. Results depend on the values, the lengths and that choice, on nothing
// else: reductions are cut by length and accumulate in float64. AVX-512 gives
// the bits of AVX2, sums included.
//
// A goroutine inside assembly cannot be preempted, so no routine stays there
// for more than 64 Ki elements at a time.
package vec

import "fmt"

// same panics unless all the lengths are n.
func same(name string, n int, others ...int) {
	for _, m := range others {
		if m != n {
			panic(fmt.Sprintf("vec.%s: slices of %d and %d elements, want equal lengths", name, n, m))
		}
	}
}
