package gemm

import (
	"unsafe"

	"github.com/agora-ml/agora/internal/quant"
)

// The integer products of AVX512_VNNI: dots of rows of blocks as they lie and one rounded row or four.

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

// roundedWords is the 32-bit words of a vector of k numbers: each begins at a multiple of 64 bytes.
func roundedWords(k int) int { return roundUp(k/32*(64/4+2), 16) }

// round fills one roundedVector for each of m rows of k numbers, a multiple of 32.
func (r *roundedMemory) round(a *Matrix, m, k, zero int, quads bool) []roundedVector {
	groups, words := k/32, roundedWords(k)
	start := r.room(m * words)
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

// roundVectorGo rounds groups (roundGroup).
func roundVectorGo(to *roundedVector, x unsafe.Pointer, groups, zero int) {
	scales, sums := unsafe.Slice((*float32)(to.scales), groups), unsafe.Slice((*float32)(to.sums), groups)
	for g := range groups {
		at := unsafe.Add(to.groups, 64*g)
		scales[g] = roundGroup(at, unsafe.Add(x, 128*g))
		bytes, zeros := unsafe.Slice((*int8)(at), 32), unsafe.Slice((*int32)(unsafe.Add(at, 32)), 8)
		total := int32(0)
		for i := range zeros {
			four := int32(0)
			for _, b := range bytes[4*i : 4*i+4] {
				four += int32(b)
			}
			zeros[i] = int32(-zero) * four
			total += four
		}
		sums[g] = float32(total) * scales[g]
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

// blockZeros are what the bytes of a block are too large by where dots multiply them.
var blockZeros = [quant.Types]int{quant.Q8_0: 128, quant.Q4_0: 8, quant.Q6_K: 32}

// dots are the functions of a kind of blocks, for one vector and for four, which lie so many bytes apart. Sums of
// a vector follow each other, those of the next are integerCall further on.
type dots struct {
	one, four func(sum *float32, x *roundedVector, apart int, b unsafe.Pointer, ld, k, rows int)
}

// integerCall is the most rows of blocks of one call: a goroutine can be stopped between calls.
const integerCall = 32

// integerDepth is the most steps of k of one call where many rows of A are multiplied by the same part of B: of four
// they stay in the level-1 cache. For few rows, B is read in one stream.
const integerDepth, fewRows = 2048, 32

// integerRows is the rows of A that are multiplied by all of a task's columns before the next: they stay in the
// level-2 cache.
const integerRows = 64

// dotProducts computes columns of C, which are rows of B as it lies.
func (e *Engine) dotProducts(p *product) {
	t := p.b.format.blocks()
	rows := e.rounded.round(&p.a, p.m, p.k, blockZeros[t], inQuads(t))
	tasks := 4 * e.team.Threads()
	run, grain := e.team.Run, min(vectorChunk, max(integerCall, roundUp((p.n+tasks-1)/tasks, 8)))
	if p.m == 1 { // weights are one stream
		run, grain = e.team.Stream, 2*integerCall
	}
	if p.m*p.n*p.k <= alone/4 {
		grain = vectorChunk
	}
	run((p.n+grain-1)/grain, func(worker, task int) {
		lo, hi := task*grain, min((task+1)*grain, p.n)
		for i := 0; i < p.m; i += integerRows {
			for j := lo; j < hi; j += integerCall {
				e.ws[worker].integerColumns(p, rows, i, min(i+integerRows, p.m), j, min(j+integerCall, hi))
			}
		}
	})
}

// integerColumns computes columns [lo, hi) of C's rows [i, end).
//
//go:noinline
func (w *Workspace) integerColumns(p *product, rows []roundedVector, i, end, lo, hi int) {
	t := p.b.format.blocks()
	ld, apart, depth := t.Bytes(p.b.ld), 4*roundedWords(p.k), integerDepth
	if p.m < fewRows {
		depth = p.k
	}
	for f, n := integerDots[t].four, 4; i < end; i += n {
		if end-i < 4 {
			f, n = integerDots[t].one, 1
		}
		clear(w.sums[:n*integerCall])
		for k := 0; k < p.k; k += depth {
			w.piece = rows[i].from(k / 32)
			f(&w.sums[0], &w.piece, apart, p.b.block(lo*p.b.ld+k), ld, min(depth, p.k-k), hi-lo)
		}
		for v := range n {
			c := unsafe.Slice((*float32)(unsafe.Add(p.c, 4*((i+v)*p.ldc+lo))), hi-lo)
			for j, s := range w.sums[v*integerCall:][:hi-lo] {
				if s *= p.alpha; p.acc {
					s += c[j]
				}
				c[j] = s
			}
		}
	}
}
