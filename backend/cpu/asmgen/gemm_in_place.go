package main

import "fmt"

// rowPointers is the rows of A that have a pointer of their own in the micro-kernels of inPlace; each as many further on is
// the sum of a pointer and one register.
const rowPointers = 7

// rowsOf12Ways is the rows of a tile whose lines all fall into one set of 12 ways, beside those of B that pass.
const rowsOf12Ways = 10

// inPlace writes the micro-kernel of 7, 10 or 14 rows of A, which are read where they lie, against a packed panel of B, in AVX-512.
// The rows that have a pointer of their own are operands of the multiply-adds, one number for all lanes: that is one
// instruction less a row, where a sum of two registers would be split in two again. Two threads of one core take turns at
// its decoder, and then it is instructions that a tile waits for: 37 a step and not 44, of half a panel 22 and not 29. With
// ahead the rows that lie tile.ahead bytes behind are fetched.
func (f *File) inPlace(s isa, name string, rows, vecs int, ahead bool) {
	doc := fmt.Sprintf("%s is tile%s_%dx%d for an A read where it lies and a packed panel of B, k at least %d.", name, s.name, rows,
		vecs*s.lanes, leastSteps)
	if ahead {
		doc += "\nIt fetches the rows tile.ahead bytes behind."
	}
	const rStep, rRound, rAhead, rAheadStep = "R14", "BX", "AX", "BX"
	pointers := []string{rA, "R8", "R9", "R10", "R11", "R12", "R13"}
	f.Func(name, doc, Arg{"t", "*tile"})
	f.I("MOVQ", f.Arg("t"), rTile)
	f.I("MOVQ", Field("tile", "a", rTile), rA)
	f.I("MOVQ", Field("tile", "b", rTile), rB)
	f.I("MOVQ", Field("tile", "c", rTile), rC)
	f.I("MOVQ", Field("tile", "k", rTile), rCount)
	f.I("MOVQ", Field("tile", "rs", rTile), rStep)
	for i := 1; i < rowPointers; i++ {
		f.I("LEAQ", Idx(0, pointers[i-1], rStep, 1), pointers[i])
	}
	if rows > rowPointers {
		f.I("IMUL3Q", Imm(rowPointers), rStep, rStep)
	}
	acc := f.zero(s, rows, vecs)
	steps := func(n int, between func(u int)) {
		for u := range n {
			for v := range vecs {
				f.I("VMOVUPS", Mem(4*s.lanes*(u*vecs+v), rB), s.reg(s.b[v]))
			}
			for i, from := range pointers {
				f.timesOne(s, Mem(4*u, from), i, vecs, acc)
				if other := i + rowPointers; other < rows {
					f.I("VBROADCASTSS", Idx(4*u, from, rStep, 1), s.reg(s.a[i%2]))
					for v := range vecs {
						f.multiplyAdd(s, v, s.a[i%2], s.acc+other*vecs+v)
					}
				}
			}
			between(u)
		}
		for _, p := range pointers {
			f.I("ADDQ", Imm(4*n), p)
		}
		f.I("ADDQ", Imm(4*n*vecs*s.lanes), rB)
	}
	nothing := func(int) {}
	fetch, loop, tail, one, store := f.NewLabel("fetch"), f.NewLabel("loop"), f.NewLabel("tail"), f.NewLabel("one"), f.NewLabel("store")
	f.I("MOVQ", Imm(leastSteps/denseUnroll), rRound)
	f.I("SUBQ", Imm(leastSteps), rCount)
	f.I("PCALIGN", Imm(32))
	f.Label(fetch)
	for range (rows*denseUnroll + leastSteps - 1) / leastSteps {
		f.fetchC(s, vecs)
		f.I("ADDQ", Field("tile", "ldc", rTile), rC)
	}
	steps(denseUnroll, nothing)
	f.I("DECQ", rRound)
	f.I("JNE", fetch)
	if ahead {
		f.I("MOVQ", Field("tile", "ahead", rTile), rAhead)
		f.I("SUBQ", Imm(4*leastSteps), rAhead)
		f.I("LEAQ", Idx(0, rStep, rAhead, 1), rAheadStep)
		f.rowsAhead(rows, pointers, rAhead, rAheadStep, steps)
	}
	f.I("SUBQ", Imm(denseUnroll), rCount)
	f.I("JLT", tail)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	steps(denseUnroll, nothing)
	f.I("SUBQ", Imm(denseUnroll), rCount)
	f.I("JGE", loop)
	f.Label(tail)
	f.I("ADDQ", Imm(denseUnroll), rCount)
	f.I("JEQ", store)
	f.Label(one)
	steps(1, nothing)
	f.I("DECQ", rCount)
	f.I("JNE", one)
	f.Label(store)
	f.finish(s, rows, vecs, acc)
}

// rowsAhead takes 16 steps in a round, in which a line of each row behind is fetched.
func (f *File) rowsAhead(rows int, pointers []string, ahead, aheadStep string, steps func(n int, between func(u int))) {
	const round = 16
	loop, tail := f.NewLabel("ahead"), f.NewLabel("behind")
	f.I("SUBQ", Imm(round), rCount)
	f.I("JLT", tail)
	f.I("PCALIGN", Imm(32))
	f.Label(loop)
	steps(round, func(u int) {
		for i := rows * u / round; i < rows*(u+1)/round; i++ {
			by := ahead
			if i >= rowPointers {
				by = aheadStep
			}
			f.I("PREFETCHT0", Idx(0, pointers[i%rowPointers], by, 1))
		}
	})
	f.I("SUBQ", Imm(round), rCount)
	f.I("JGE", loop)
	f.Label(tail)
	f.I("ADDQ", Imm(round), rCount)
}

// wholeTiles writes the micro-kernels of AVX-512 for whole tiles, of packed A and in place, and their table.
func (f *File) wholeTiles() {
	table := ""
	for vecs := 1; vecs <= 2; vecs++ {
		dense := fmt.Sprintf("denseAVX512_14x%d", 16*vecs)
		f.dense(avx512, dense, 14, vecs, leastSteps/denseUnroll)
		rows, ahead := "", ""
		for _, n := range []int{rowPointers, rowsOf12Ways, 2 * rowPointers} {
			name := fmt.Sprintf("AVX512_%dx%d", n, 16*vecs)
			f.inPlace(avx512, "rows"+name, n, vecs, false)
			f.inPlace(avx512, "rowsAhead"+name, n, vecs, true)
			rows += fmt.Sprintf("%d: rows%s, ", n, name)
			ahead += fmt.Sprintf("%d: rowsAhead%s, ", n, name)
		}
		table += fmt.Sprintf("{%s, []func(*tile){%s}, []func(*tile){%s}},\n", dense, rows, ahead)
	}
	f.Go("// wholeAVX512 holds the micro-kernels of whole tiles, of narrow and of full panels.\nvar wholeAVX512 = [2]wholeTiles{\n" +
		table + "}")
}

// timesOne adds B's row times the number at m to the accumulators of row i, in one instruction each.
func (f *File) timesOne(s isa, m string, i, vecs int, acc func(i, v int) string) {
	for v := range vecs {
		f.I("VFMADD231PS.BCST", m, s.reg(s.b[v]), acc(i, v))
	}
}
