package gemm

import (
	"math"
	"unsafe"

	"github.com/agora-ml/agora/internal/quant"
)

// Products of few rows with quantized weights may be computed in integers, as llama.cpp does: the rows are rounded
// to eight bits, with a scale for every 32 numbers, and multiplied as the weights lie, so that nothing is
// widened. It is the memory's speed for generating, at the price of that rounding.

// RoundsRows reports whether this processor computes so (AVX512_VNNI); elsewhere Engine.RoundRows changes nothing.
func RoundsRows() bool { return integerDots[quant.Q8_0] != nil }

// mostRounded is the most rows of A that are rounded: more are multiplied as matrices, which widens
// a weight once for all of them.
const mostRounded = 8

// A roundedVector is a vector of so many groups of 32 numbers, x = scale * byte, and what dots need beside it.
type roundedVector struct {
	// groups has 64 bytes of each: its 32 signed bytes, then for every four of them -zero times their sum as int32.
	// For kinds in inQuads it begins with fours of groups, as far as there are four: the first 16 bytes of each, the
	// last 16 of each, then for each four times int32, -zero times the sums of the i-th four bytes of both
	// halves; 64 bytes are left out.
	groups unsafe.Pointer
	scales unsafe.Pointer // float32, of each group
	sums   unsafe.Pointer // float32, the sum of each group's bytes times its scale
}

// from is the vector without its first groups.
func (v *roundedVector) from(groups int) roundedVector {
	return roundedVector{unsafe.Add(v.groups, 64*groups), unsafe.Add(v.scales, 4*groups), unsafe.Add(v.sums, 4*groups)}
}

// roundedMemory holds rounded vectors.
type roundedMemory struct {
	words   []float32
	vectors []roundedVector
}

// round fills one roundedVector for each of m rows of k numbers, a multiple of 32.
func (r *roundedMemory) round(a *Matrix, m, k, zero int, quads bool) []roundedVector {
	groups := k / 32
	words := roundUp(groups*(64/4+2), 16) // of a vector, which begins at a multiple of 64 bytes
	r.words = grow(r.words, m*words+16)
	start := unsafe.Pointer(unsafe.SliceData(r.words))
	start = unsafe.Add(start, -uintptr(start)%64)
	r.vectors = r.vectors[:0]
	for i := range m {
		at, x := unsafe.Add(start, 4*i*words), a.at(i*a.ld)
		v := roundedVector{at, unsafe.Add(at, 64*groups), unsafe.Add(at, 68*groups)}
		r.vectors = append(r.vectors, v)
		inFours := 0
		if quads && groups >= 4 {
			inFours = groups &^ 3
			roundQuads(&v, x, inFours, zero)
		}
		if rest := v.from(inFours); inFours < groups {
			roundVector(&rest, unsafe.Add(x, 128*inFours), groups-inFours, zero)
		}
	}
	return r.vectors
}

// roundVectorGo rounds to the nearest multiple of each group's largest magnitude / 127, to even ones in the middle.
// A group with infinity or NaN has such a scale, so that its products are NaN.
func roundVectorGo(to *roundedVector, x unsafe.Pointer, groups, zero int) {
	scales, sums := unsafe.Slice((*float32)(to.scales), groups), unsafe.Slice((*float32)(to.sums), groups)
	for g := range groups {
		from := unsafe.Slice((*float32)(unsafe.Add(x, 128*g)), 32)
		bytes := unsafe.Slice((*int8)(unsafe.Add(to.groups, 64*g)), 32)
		zeros := unsafe.Slice((*int32)(unsafe.Add(to.groups, 64*g+32)), 8)
		largest := uint32(0)
		for _, f := range from {
			largest = max(largest, math.Float32bits(f)&^(1<<31))
		}
		top := math.Float32frombits(largest)
		scale, inverse := top/127, float32(127)/top
		if top == 0 {
			inverse = 0
		}
		total := int32(0)
		for i := range zeros {
			four := int32(0)
			for j := 4 * i; j < 4*i+4; j++ {
				bytes[j] = 0
				if n := math.RoundToEven(float64(from[j] * inverse)); math.Abs(n) <= 127 {
					bytes[j] = int8(n)
				}
				four += int32(bytes[j])
			}
			zeros[i] = int32(-zero) * four
			total += four
		}
		scales[g], sums[g] = scale, float32(total)*scale
	}
}

// roundQuadsGo is roundVectorGo with the groups in fours.
func roundQuadsGo(to *roundedVector, x unsafe.Pointer, groups, zero int) {
	roundVectorGo(to, x, groups, zero)
	for g := 0; g < groups; g += 4 {
		quad := unsafe.Slice((*byte)(unsafe.Add(to.groups, 64*g)), 256)
		plain := [256]byte(quad)
		zeros := unsafe.Slice((*int32)(unsafe.Pointer(&quad[128])), 16)
		for b := range 4 {
			copy(quad[16*b:], plain[64*b:64*b+16])
			copy(quad[64+16*b:], plain[64*b+16:64*b+32])
			sums := unsafe.Slice((*int32)(unsafe.Pointer(&plain[64*b+32])), 8)
			for i := range 4 {
				zeros[4*b+i] = sums[i] + sums[i+4]
			}
		}
	}
}

// inQuads are the kinds of which four blocks are taken at a time.
func inQuads(t quant.Type) bool { return t == quant.Q8_0 || t == quant.Q4_0 }

// blockZeros are what the integer dots' bytes of a block are too large by.
var blockZeros = [quant.Types]int{quant.Q8_0: 128, quant.Q4_0: 8, quant.Q6_K: 32}

// inIntegers reports whether a product is computed with rounded rows.
func (e *Engine) inIntegers(p *product) bool {
	if !e.RoundRows || !p.b.format.inBlocks() || p.m > mostRounded || p.transA || !p.transB || p.a.format != formatF32 {
		return false
	}
	t := p.b.format.blocks()
	return integerDots[t] != nil && p.k%max(32, t.Len()) == 0
}

// integers computes columns of C, which are rows of B as it lies.
func (e *Engine) integers(p *product) {
	t := p.b.format.blocks()
	rows := e.rounded.round(&p.a, p.m, p.k, blockZeros[t], inQuads(t))
	tasks := 4 * e.team.Threads()
	grain := min(vectorChunk, max(32, roundUp((p.n+tasks-1)/tasks, 8)))
	if p.m*p.n*p.k <= alone/4 {
		grain = vectorChunk
	}
	e.team.Run((p.n+grain-1)/grain, func(worker, task int) {
		for j, end := task*grain, min((task+1)*grain, p.n); j < end; j += integerCall {
			e.ws[worker].integerColumns(p, rows, j, min(j+integerCall, end))
		}
	})
}

// integerCall is the columns of C between two points where a goroutine can be stopped.
const integerCall = 32

// integerColumns computes columns [lo, hi) of C.
//
//go:noinline
func (w *Workspace) integerColumns(p *product, rows []roundedVector, lo, hi int) {
	t := p.b.format.blocks()
	sums := w.sums[:hi-lo]
	for i := range rows {
		integerDots[t](&sums[0], &rows[i], p.b.block(lo*p.b.ld), t.Bytes(p.b.ld), p.k, hi-lo)
		c := unsafe.Slice((*float32)(unsafe.Add(p.c, 4*(i*p.ldc+lo))), len(sums))
		for n, s := range sums {
			if s *= p.alpha; p.acc {
				s += c[n]
			}
			c[n] = s
		}
	}
}
