package vec

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/internal/quant"
)

// Every implementation gives the bits of package quant, for all bytes of a block and
// scales of all kinds, and writes nothing beside.
func TestBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	eachImplementation(t, func(t *testing.T) {
		for _, blocks := range []int{0, 1, 2, 3, 7, 2051} {
			n := blocks * quant.Len
			for _, c := range []struct {
				name     string
				bytes    int
				got, ref func([]float32, []byte)
			}{{"FromQ8", quant.Q8Bytes, FromQ8, quant.DecodeQ8}, {"FromQ4", quant.Q4Bytes, FromQ4, quant.DecodeQ4}} {
				src := make([]byte, blocks*c.bytes+1)[1:]
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				for b := range blocks {
					if hi := &src[b*c.bytes+1]; *hi&0x7c == 0x7c { // infinity or NaN
						*hi &= 0x83 // subnormal
					}
				}
				whole := slices.Repeat([]float32{guard}, n+40)
				dst, want := whole[17:17+n], make([]float32, n)
				c.got(dst, src)
				c.ref(want, src)
				if !slices.Equal(dst, want) {
					t.Errorf("%s: %d blocks: other bits", c.name, blocks)
				}
				checkFence(t, c.name, whole, n, 1)
			}
		}
	})
}

func TestBlocksMustBeWhole(t *testing.T) {
	for name, f := range map[string]func(){
		"too few bytes": func() { FromQ8(make([]float32, 64), make([]byte, 67)) },
		"half a block":  func() { FromQ4(make([]float32, 48), make([]byte, 18)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
