package gemm

import (
	"math"
	"unsafe"

	"github.com/agora-ml/agora/internal/quant"
)

// Products with quantized weights may be computed in integers, as llama.cpp does: the rows of A are rounded to eight
// bits, with a scale for every 32 numbers, and multiplied by weights as they lie, so that nothing is widened. It is the
// memory's speed for generating, at the price of that rounding.

// An integerPath is a way of computing so, by panels. All give the same bits.
type integerPath struct {
	name  string
	kinds *[quant.Types]panelKind
	round func(to, x unsafe.Pointer, groups, zero int) // into roundedGroups
	rows  int                                          // of B, that a kind packs at once: eight, or sixteen
	// singles is the most rows of A that are multiplied one by one, by weights that the first has brought to the level-1
	// cache: where packing costs more than that.
	singles int
}

// Integers names what products with rounded rows are computed by: avx512vnni, avx2, neoni8mm, neondotprod, or "":
// Engine.RoundRows changes nothing.
func Integers() string {
	if len(integerPaths) == 0 {
		return ""
	}
	return integerPaths[0].name
}

// inIntegers reports whether a product is computed with rounded rows.
func (e *Engine) inIntegers(p *product) bool {
	if !e.RoundRows || e.integers == nil || !p.b.format.inBlocks() || p.transA || !p.transB || p.a.format != formatF32 {
		return false
	}
	t := p.b.format.blocks()
	return integerKinds[t] && p.k%max(32, t.Len()) == 0
}

// integerKinds are the kinds of blocks that are multiplied so.
var integerKinds = [quant.Types]bool{
	quant.Q8_0: true, quant.Q4_0: true, quant.Q4_K: true, quant.Q5_K: true, quant.Q6_K: true,
}

// roundedMemory holds rounded rows.
type roundedMemory struct{ words []float32 }

// room is memory for so many words, from a multiple of 64 bytes on. What it held is lost.
func (r *roundedMemory) room(words int) unsafe.Pointer {
	r.words = grow(r.words, words+16)
	start := unsafe.Pointer(unsafe.SliceData(r.words))
	return unsafe.Add(start, -uintptr(start)%64)
}

// roundGroup rounds to the nearest multiple of the largest magnitude / 127, to even ones in the middle. A group with
// infinity or NaN has such a scale, so that its products are NaN.
func roundGroup(bytes, x unsafe.Pointer) (scale float32) {
	from, to := (*[32]float32)(x), (*[32]int8)(bytes)
	largest := uint32(0)
	for _, f := range from {
		largest = max(largest, math.Float32bits(f)&^(1<<31))
	}
	top := math.Float32frombits(largest)
	inverse := float32(127) / top
	if top == 0 {
		inverse = 0
	}
	for i, f := range from {
		to[i] = 0
		if n := math.RoundToEven(float64(f * inverse)); math.Abs(n) <= 127 {
			to[i] = int8(n)
		}
	}
	return top / 127
}
