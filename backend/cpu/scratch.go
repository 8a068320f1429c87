package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/tensor"
)

// Fast versions compute on float32 pieces that fit in a core's cache. scratch is the
// memory of one worker for them: an f32 argument is used where it lies, a 16-bit one
// is widened piece by piece and rounded back, so that it costs no pass over memory; so
// is a quantized weight, in pieces of whole blocks.
type scratch struct {
	memory  []float32
	used    int
	pending []rounding
	gemm    gemm.Workspace
	keys    []float32 // what attention keeps of whole sequences' keys: their gradients' sums, and packed ones
}

// rounding is a piece of a 16-bit output that is still f32.
type rounding struct {
	y    tensor.Arg
	from int
	data []float32
}

// block is how many elements elementwise kernels take at a time: a few arguments of
// it fit in the first or second level of cache.
const block = 4096

// atMost32Bits reports whether the arguments are f32, 16-bit floats, quantized weights or
// indices, which is what scratch memory can hold.
func atMost32Bits(a []tensor.Arg) bool {
	for _, x := range a {
		if !x.IsNil() && x.DType != tensor.F32 && x.DType != tensor.I32 && !needsWidening(x.DType) {
			return false
		}
	}
	return true
}

// take gives n floats of undefined content until the next flush.
func (s *scratch) take(n int) []float32 {
	if s.used+n > len(s.memory) {
		s.memory = make([]float32, 2*(s.used+n))
		s.used = 0 // what was taken before lives in the old memory
	}
	piece := s.memory[s.used : s.used+n : s.used+n]
	s.used += (n + 15) &^ 15
	s.used = min(s.used, len(s.memory))
	return piece
}

// load is elements [lo, hi) of an input. They must not be written to.
func (s *scratch) load(x tensor.Arg, lo, hi int) []float32 {
	if x.DType == tensor.F32 {
		return f32s(x)[lo:hi]
	}
	piece := s.take(hi - lo)
	s.loadInto(piece, x, lo)
	return piece
}

// loadInto copies elements of an input from lo on to dst.
func (s *scratch) loadInto(dst []float32, x tensor.Arg, lo int) {
	switch hi := lo + len(dst); x.DType {
	case tensor.F32:
		copy(dst, f32s(x)[lo:hi])
	case tensor.F16, tensor.BF16:
		widening(x.DType)(dst, elements[uint16](x)[lo:hi])
	default:
		decode(dst, x, lo)
	}
}

// widening is what widens numbers of a type of 16 bits.
func widening(dt tensor.DType) func(dst []float32, src []uint16) {
	if dt == tensor.F16 {
		return vec.FromF16
	}
	return vec.FromBF16
}

// store is where elements [lo, hi) of an output are to be written before the flush.
func (s *scratch) store(y tensor.Arg, lo, hi int) []float32 {
	if y.DType == tensor.F32 {
		return f32s(y)[lo:hi]
	}
	piece := s.take(hi - lo)
	s.pending = append(s.pending, rounding{y, lo, piece})
	return piece
}

// update is store for an output that is read too.
func (s *scratch) update(y tensor.Arg, lo, hi int) []float32 {
	piece := s.store(y, lo, hi)
	if y.DType != tensor.F32 {
		s.loadInto(piece, y, lo)
	}
	return piece
}

// flush rounds what was stored to its 16-bit outputs and takes all memory back.
func (s *scratch) flush() {
	s.round()
	s.used = 0
}

// round is flush without taking the memory back.
func (s *scratch) round() {
	for _, p := range s.pending {
		round16(p.y.DType, elements[uint16](p.y)[p.from:][:len(p.data)], p.data)
	}
	s.pending = s.pending[:0]
}

// tasks cuts [0, n) into chunks of grain, as parallel.Team.Rows does, and gives each
// task its worker's scratch memory.
func (w *work) tasks(n, grain int, f func(s *scratch, lo, hi int)) {
	grain = max(grain, 1)
	w.team.Run((n+grain-1)/grain, func(worker, task int) {
		s := &w.scratch[worker]
		lo := task * grain
		f(s, lo, min(lo+grain, n))
		s.flush()
	})
}

// ranges gives each task of n its worker's scratch memory, as tasks does, but a worker has tasks of its own that follow each
// other. Those of attention are heads: rows of two neighbors lie beside each other, in one line of memory or in two that processors
// fetch as a pair, and workers that write to them take them from each other.
func (w *work) ranges(n int, f func(s *scratch, task int)) {
	w.team.Stream(n, func(worker, task int) {
		s := &w.scratch[worker]
		f(s, task)
		s.flush()
	})
}

// blocks calls f for pieces of at most block of n elements.
func (w *work) blocks(n int, f func(s *scratch, lo, hi int)) {
	w.tasks(n, grain, func(s *scratch, lo, hi int) {
		for ; lo < hi; lo += block {
			f(s, lo, min(lo+block, hi))
			s.flush()
		}
	})
}

// rows calls f for each of some rows of dim elements, [lo, hi) being row r's.
func (w *work) rows(rows, dim int, f func(s *scratch, r, lo, hi int)) {
	w.tasks(rows, grain/dim, func(s *scratch, from, to int) {
		for r := from; r < to; r++ {
			f(s, r, r*dim, (r+1)*dim)
			s.flush()
		}
	})
}
