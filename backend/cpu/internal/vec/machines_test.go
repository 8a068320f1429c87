package vec

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// TestMachinesAgree: what is element by element has the same bits in the assembly of every processor, wherever an
// element lies.
func TestMachinesAgree(t *testing.T) {
	const want, n = 0x1eec1efb01307bce, 83
	for _, impl := range implementations[1:] {
		impl.choose()
		rng, hash := rand.New(rand.NewPCG(17, 18)), fnv.New64a()
		for _, c := range elementwises {
			in, out := make([][]float32, c.ins), make([][]float32, c.outs)
			for k := range in {
				in[k] = make([]float32, n)
				for i := range in[k] {
					in[k][i] = float32(int32(rng.Uint32())) * 0x1p-28
				}
			}
			for k := range out {
				out[k] = make([]float32, n)
			}
			c.run(out, in)
			for at := range n {
				one := make([][]float32, c.outs)
				for k := range one {
					one[k] = make([]float32, n-at)
				}
				later := make([][]float32, c.ins)
				for k := range later {
					later[k] = in[k][at:]
				}
				c.run(one, later)
				for k := range one {
					if one[k][0] != out[k][at] {
						t.Errorf("%s: %s: element %d is %g, as the first %g", impl.name, c.name, at, out[k][at], one[k][0])
					}
				}
			}
			for _, o := range out {
				for _, v := range o {
					hash.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
				}
			}
		}
		if got := hash.Sum64(); got != want {
			t.Errorf("%s: results hash to %#x, want %#x", impl.name, got, uint64(want))
		}
	}
}
