package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func init() {
	plain(loraMirror[float32], loraMirror[float64])
	fast(loraMirrorIn16Bits)
}

// mirrored is what LoRAMirror's table says of a part.
type mirrored struct{ at, from, n, rank, columns, out, scaling int }

func mirroredPart(parts []int32, i int) mirrored {
	p := parts[7*i:]
	return mirrored{int(p[0]), int(p[1]), int(p[2]), int(p[3]), int(p[4]), int(p[5]), int(p[6])}
}

// scalingOf is the element of s for element j of the part.
func (p mirrored) scalingOf(j int, perOutput bool) int {
	module := j % p.rank / p.columns
	if perOutput {
		return p.scaling + module*p.out + j/p.rank
	}
	return p.scaling + module
}

// loraMirror writes a chunk of y after the other.
func loraMirror[F float](w *work, k kernels.LoRAMirror, a args[F]) {
	w.team.Rows(k.N/k.Chunk, max(1, grain/k.Chunk), func(lo, hi int) {
		for c := lo; c < hi; c++ {
			mirrorChunk(a.f[0][c*k.Chunk:(c+1)*k.Chunk], k, a, c)
		}
	})
}

func mirrorChunk[F float](y []F, k kernels.LoRAMirror, args args[F], chunk int) {
	a, b, s, scales := args.f[1], args.f[2], args.f[3], args.f[4]
	part := int(args.i[6][chunk])
	p := mirroredPart(args.i[5], part)
	first := chunk*k.Chunk - p.at
	n := min(k.Chunk, p.n-first)
	clear(y[n:])
	if p.rank == 0 {
		copy(y[:n], a[p.from+first:])
		return
	}
	for j := range n {
		by := scales[part]
		if s != nil {
			by *= s[p.scalingOf(first+j, k.PerOutput)]
		}
		y[j] = by * b[p.from+first+j]
	}
}

// loraMirrorIn16Bits rounds a chunk at a time.
func loraMirrorIn16Bits(w *work, k kernels.LoRAMirror, a []tensor.Arg) bool {
	if !a[0].DType.Is16Bit() || !allF32(a[1:]) {
		return false
	}
	wide := slices[float32](append([]tensor.Arg{{}}, a[1:]...))
	y := elements[uint16](a[0])
	w.tasks(k.N/k.Chunk, grain/k.Chunk, func(s *scratch, lo, hi int) {
		room := s.take(k.Chunk)
		for c := lo; c < hi; c++ {
			mirrorRounded(y[c*k.Chunk:(c+1)*k.Chunk], a[0].DType, k, wide, c, room)
		}
	})
	return true
}

// mirrorRounded is mirrorChunk rounded to dt, a run of elements that have one scale at a time, with scratch for a chunk.
func mirrorRounded(y []uint16, dt tensor.DType, k kernels.LoRAMirror, args args[float32], chunk int, scratch []float32) {
	a, b, s, scales := args.f[1], args.f[2], args.f[3], args.f[4]
	part := int(args.i[6][chunk])
	p := mirroredPart(args.i[5], part)
	first := chunk*k.Chunk - p.at
	n := min(k.Chunk, p.n-first)
	clear(y[n:])
	if p.rank == 0 {
		round16(dt, y[:n], a[p.from+first:][:n])
		return
	}
	from := b[p.from+first:][:n]
	for j := 0; j < n; {
		by := scales[part]
		if s != nil {
			by *= s[p.scalingOf(first+j, k.PerOutput)]
		}
		end := min(n, j+p.columns-(first+j)%p.rank%p.columns)
		vec.Scale(scratch[j:end], from[j:end], by)
		j = end
	}
	round16(dt, y[:n], scratch[:n])
}
