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
		for typ := range quant.Types {
			for _, blocks := range []int{0, 1, 2, 3, 7, 65600/typ.Len() + 3} {
				n := blocks * typ.Len()
				src := make([]byte, typ.Bytes(n)+1)[1:] // at odd addresses
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				typ.MakeFinite(src)
				whole := slices.Repeat([]float32{guard}, n+40)
				dst, want := whole[17:17+n], make([]float32, n)
				FromBlocks(typ, dst, src)
				typ.Decode(want, src)
				if !slices.Equal(dst, want) {
					t.Errorf("%s: %d blocks: other bits", typ, blocks)
				}
				checkFence(t, typ.String(), whole, n, 1)
			}
		}
	})
}

func TestBlocksMustBeWhole(t *testing.T) {
	for name, f := range map[string]func(){
		"too few bytes": func() { FromBlocks(quant.Q8_0, make([]float32, 64), make([]byte, 67)) },
		"half a block":  func() { FromBlocks(quant.Q4_0, make([]float32, 48), make([]byte, 18)) },
		"an eighth":     func() { FromBlocks(quant.Q6_K, make([]float32, 32), make([]byte, 210)) },
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
