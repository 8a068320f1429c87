package cpu

import (
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Scratch is the memory that kernels keep beside tensors: packed panels of matrices,
// pieces widened to f32. It grows to what the largest call has needed.
func (b *backend) Scratch() int {
	n := b.work.gemm.Bytes() + b.work.shared.bytes()
	for i := range b.work.scratch {
		n += b.work.scratch[i].bytes()
	}
	for _, wide := range b.wide {
		if wide != nil {
			n += len(wide.data)
		}
	}
	return n
}

// Reclaim sets what to call where memory for scratch runs out: see tensor.Reclaimer.
func (b *backend) Reclaim(free func()) { b.reclaim = free }

func (s *scratch) bytes() int { return 4*(len(s.memory)+cap(s.keys)) + s.gemm.Bytes() }

// A Footprint adds up the scratch memory that a backend would keep after some kernels,
// without running them. It counts matrix products, whose operands are large, and what attention
// keeps of keys; all else together needs less than 2 MiB a thread, with heads of more than 128 up to 4. It is made for training, which never has
// Options.RoundActivations: with it, products of 16-bit activations and quantized weights keep up to 16 MiB of them
// widened (pieces.go), and all rows in eight bits.
type Footprint struct {
	Threads         int       // 0: as Open
	MatmulPrecision Precision // Options'
	shared          int
	pairs           int    // of products of bfloat16
	parts           int    // of products by parts
	wide            [2]int // of the products' c and a
	keys            int    // of attention, a thread: sums or packed
	packed          int    // keys of attention, for all threads
}

// Run counts one kernel.
func (f *Footprint) Run(k tensor.Kernel, a []tensor.Arg) {
	switch k := k.(type) {
	case kernels.Attention:
		if halves := inHalves(k, a[2:5]...); k.T > 1 {
			f.attention(newTiles(k, halves), halves, forForward, forWideForward)
		}
		return
	case kernels.AttentionGradQ:
		halves := inHalves(kernels.Attention(k), a[2], a[5], a[6], a[7])
		f.attention(newGradTiles(kernels.Attention(k), halves), halves, forQueries, forWideQueries)
		return
	case kernels.AttentionGrad:
		f.attentionGrad(kernels.Attention(k), a[3], a[6], a[7], a[8])
		return
	}
	m, ok := k.(kernels.Matmul)
	if !ok {
		return
	}
	whole := m.Batch == 1 || m.M*m.N*m.K > manyProducts
	if inBF16(m, a) {
		n, ok := gemm.BgemmBytes(threads(f.Threads), m.TransA, a[1].DType == tensor.F32, a[0].DType == tensor.BF16, m.M, m.N, m.K)
		if ok {
			if whole {
				f.pairs = max(f.pairs, n)
			}
			return
		}
	}
	splits := false
	if f.MatmulPrecision.byParts() {
		_, splits = gemm.PartsBytes(threads(f.Threads), m.TransA, m.M, m.N, m.K)
	}
	if inHalfRows(m, a) && !splits {
		c16, a16 := a[0].DType.Is16Bit(), a[1].DType.Is16Bit()
		if n, ok := gemm.HalfBytes(threads(f.Threads), m.TransA, a16, c16, m.M, m.N, m.K); ok {
			if whole {
				f.shared = max(f.shared, n)
			}
			return
		}
	}
	rows := rowsOfPiece(m, a[0].DType, a[1].DType)
	for i := range f.wide {
		n := a[i].N
		if rows < m.M {
			n = rows * [2]int{m.N, m.K}[i]
		}
		if a[i].DType.Is16Bit() {
			f.wide[i] = max(f.wide[i], 4*n)
		}
	}
	if f.MatmulPrecision.byParts() {
		if n, ok := gemm.PartsBytes(threads(f.Threads), m.TransA, rows, m.N, m.K); ok {
			if whole || rows < m.M {
				f.parts = max(f.parts, n)
			}
			return
		}
	}
	if whole || rows < m.M {
		f.shared = max(f.shared, gemm.SharedBytes(threads(f.Threads), m.TransA, rows, m.N, m.K))
	}
}

// attention counts keys that are packed for all workers, or by each for itself.
func (f *Footprint) attention(a *attentionTiles, halves bool, o, wide operands) {
	switch {
	case a.pairs:
		o = o.inPairs()
	case !halves:
		o = a.wide(wide, f.MatmulPrecision.byParts())
	}
	bytes := 4 * a.blocks() * o.words(a.HeadDim)
	if (o.wide || o.pairs) && a.headsAlone(o, threads(f.Threads)) {
		f.keys = max(f.keys, bytes)
		return
	}
	f.packed = max(f.packed, a.headsTogether(o, threads(f.Threads))*bytes)
}

// attentionGrad counts what a worker keeps to make all gradients of a head in one pass.
func (f *Footprint) attentionGrad(k kernels.Attention, of ...tensor.Arg) {
	halves := inHalves(k, of...)
	a := newGradTiles(k, halves)
	floats := a.sumFloats() + a.blocks()*a.wide(forWideQueries, f.MatmulPrecision.byParts()).words(k.HeadDim)
	switch {
	case a.pairs:
		floats = a.sumFloats() + a.blocks()*forQueries.inPairs().words(k.HeadDim)
	case halves:
		floats = halfSums(k.S, k.HeadDim) + a.blocks()*forQueries.words(k.HeadDim)
	}
	f.keys = max(f.keys, 4*floats)
}

// Scratch is the size in bytes.
func (f *Footprint) Scratch() int {
	return f.shared + f.pairs + f.parts + f.wide[0] + f.wide[1] + f.packed + f.keys*threads(f.Threads)
}

// Offers makes the backend that is measured a tensor.Offerer, as the CPU's is.
func (f *Footprint) Offers(k tensor.Kernel) bool { return offers(k, threads(f.Threads)) }
