// Package random gives the counter-based random numbers of the whole project.
//
// A number is a pure function of (seed, stream, step, op, element): the same
// dropout mask comes out on the CPU, on a GPU, when a checkpoint recomputes a
// segment and after a resume, whatever the number of threads.
package random

// Philox4x32 is one block of Philox 4×32 with ten rounds: Salmon, Moraes, Dror,
// Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
func Philox4x32(key [2]uint32, counter [4]uint32) [4]uint32 {
	const (
		mul0, mul1   = 0xD2511F53, 0xCD9E8D57
		weyl0, weyl1 = 0x9E3779B9, 0xBB67AE85
	)
	c := counter
	k0, k1 := key[0], key[1]
	for range 10 {
		p0 := uint64(mul0) * uint64(c[0])
		p1 := uint64(mul1) * uint64(c[2])
		c = [4]uint32{
			uint32(p1>>32) ^ c[1] ^ k0, uint32(p1),
			uint32(p0>>32) ^ c[3] ^ k1, uint32(p0),
		}
		k0, k1 = k0+weyl0, k1+weyl1
	}
	return c
}

// Uniform maps 32 random bits to [0, 1): their upper 24 bits times 2^-24, exact
// in float32, so that every backend compares the same number.
func Uniform(bits uint32) float32 { return float32(bits>>8) * 0x1p-24 }
