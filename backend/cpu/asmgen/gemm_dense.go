package main

import "fmt"

// denseUnroll is the steps of one round of a dense micro-kernel's loop; package gemm
// knows it as denseRound.
const denseUnroll = 8

// leastSteps is the least k of the micro-kernels of inPlace and of the dense one in AVX-512; package gemm knows it.
const leastSteps = 7 * denseUnroll

// dense writes the micro-kernel of a largest tile whose A and B both lie in panels:
// every operand is at a constant offset, so that a step is nothing but its loads and
// multiply-adds. So many rounds at the begin of the loop fetch rows of C; all rows at once
// would fill the queue of misses. Every round fetches one line of the next panel of A,
// which comes from further away than B. In AVX-512 every other row is an operand of the multiply-adds, as in inPlace, and of half a panel every one.
func (f *File) dense(s isa, name string, rows, vecs, rounds int) {
	f.Func(name, fmt.Sprintf("%s is tile%s_%dx%d for whole tiles of packed A, k at least %d.", name, s.name, rows,
		vecs*s.lanes, denseUnroll*rounds),
		Arg{"t", "*tile"})
	f.I("MOVQ", f.Arg("t"), rTile)
	f.I("MOVQ", Field("tile", "a", rTile), rA)
	f.I("MOVQ", Field("tile", "b", rTile), rB)
	f.I("MOVQ", Field("tile", "c", rTile), rC)
	f.I("MOVQ", Field("tile", "k", rTile), rCount)
	f.I("MOVQ", Field("tile", "ldc", rTile), "R8")
	f.I("MOVQ", Field("tile", "ahead", rTile), "R9")
	f.I("ADDQ", rA, "R9")
	acc := f.zero(s, rows, vecs)
	steps := func(n int) {
		for u := range n {
			for v := range vecs {
				f.I("VMOVUPS", Mem(4*s.lanes*(u*vecs+v), rB), s.reg(s.b[v]))
			}
			for i := range rows {
				a, m := s.a[i%2], Mem(4*(u*rows+i), rA)
				if s.masked {
					if a = s.a[i/2%2]; i%2 == 0 || vecs == 1 {
						f.timesOne(s, m, i, vecs, acc)
						continue
					}
				}
				f.I("VBROADCASTSS", m, s.reg(a))
				for v := range vecs {
					f.multiplyAdd(s, v, a, s.acc+i*vecs+v)
				}
			}
		}
		f.I("ADDQ", Imm(4*n*rows), rA)
		f.I("ADDQ", Imm(4*n*vecs*s.lanes), rB)
	}
	round := func() {
		f.I("PREFETCHT0", Mem(0, "R9"))
		f.I("ADDQ", Imm(64), "R9")
		steps(denseUnroll)
	}
	fetch, loop, tail, one, store := f.NewLabel("fetch"), f.NewLabel("loop"), f.NewLabel("tail"), f.NewLabel("one"),
		f.NewLabel("store")
	f.I("MOVQ", Imm(rounds), "R10")
	f.I("SUBQ", Imm(denseUnroll*rounds), rCount)
	f.I("PCALIGN", Imm(32))
	f.Label(fetch)
	for range rows / rounds {
		f.fetchC(s, vecs)
		f.I("ADDQ", "R8", rC)
	}
	round()
	f.I("DECQ", "R10")
	f.I("JNE", fetch)
	f.I("SUBQ", Imm(denseUnroll), rCount)
	f.I("JLT", tail)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	round()
	f.I("SUBQ", Imm(denseUnroll), rCount)
	f.I("JGE", loop)
	f.Label(tail)
	f.I("ADDQ", Imm(denseUnroll), rCount)
	f.I("JEQ", store)
	f.Label(one)
	steps(1)
	f.I("DECQ", rCount)
	f.I("JNE", one)
	f.Label(store)
	f.finish(s, rows, vecs, acc)
}
