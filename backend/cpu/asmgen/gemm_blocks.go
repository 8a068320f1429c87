package main

import (
	"fmt"
	"strings"
)

// gemmBlocks writes the products of rows of blocks and one vector, one a kind: the block's numbers go from the
// registers in which they are widened into sums. Kinds of which gemmVector has a better one are left out.
func gemmBlocks() []*File {
	narrow, wide := newVec(NewFile("../gemm", "blocks")), newVec(NewFile("../gemm", "blocks512"))
	wide.written = map[string]bool{}
	// Four sums, of every fourth eight numbers, as dots has them: the sum has the bits of that over the widened row. A
	// register of AVX-512 is two of them.
	narrow.some = func(q string, number int) { narrow.I("VFMADD231PS", Mem(4*number, "DI"), q, Y(4+number/8%4)) }
	wide.some = func(q string, number int) { wide.I("VFMADD231PS", Mem(4*number, "DI"), q, Z(4+number/16%2*2)) }
	narrow.dotters()
	wide.dotters()
	return []*File{narrow.File, wide.File}
}

func (v *vec) dotters() {
	var table []string
	v.kinds(func(name string, length, size int, block func()) {
		if name == "Q8_0" || name == "Q4_0" {
			return
		}
		v.dotter("dots"+name+v.suffix(), length, size, block)
		table = append(table, fmt.Sprintf("quant.%s: dots%s%s,", name, name, v.suffix()))
	})
	v.Go(fmt.Sprintf("// blockDots%s are by kind.\nvar blockDots%s = [quant.Types]func(sum *float32, x, b unsafe.Pointer, ld, k, rows int){\n",
		v.suffix(), v.suffix()) + strings.Join(table, "\n") + "\n}")
	v.define()
}

// dotter writes the loop over rows of blocks. The vector is at DI.
func (v *vec) dotter(name string, length, size int, block func()) {
	v.Func(name, fmt.Sprintf(`%s multiplies a positive number of rows of blocks, ld bytes apart, with a vector; k is a positive
multiple of %d:
	for i := range rows { for j := range k { sum[i] += x[j] * widen(b[i*ld:][j]) } }`, name, length),
		Arg{"sum", "*float32"}, Arg{"x", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"},
		Arg{"k", "int"}, Arg{"rows", "int"})
	v.I("MOVQ", v.Arg("sum"), "R10")
	v.I("MOVQ", v.Arg("b"), "R11")
	v.I("MOVQ", v.Arg("ld"), "R12")
	v.I("MOVQ", v.Arg("rows"), "R13")
	row, loop := v.NewLabel("row"), v.NewLabel("loop")
	v.Label(row)
	v.I("MOVQ", v.Arg("x"), "DI")
	v.I("MOVQ", "R11", "SI")
	v.I("MOVQ", v.Arg("k"), "CX")
	for r := 4; r < 8; r++ {
		v.I("VXORPS", Y(r), Y(r), Y(r))
	}
	v.I("PCALIGN", Imm(32))
	v.Label(loop)
	block()
	v.I("ADDQ", Imm(size), "SI")
	v.I("ADDQ", Imm(4*length), "DI")
	v.I("SUBQ", Imm(length), "CX")
	v.I("JGT", loop)
	if v.written != nil {
		v.I("VEXTRACTF64X4", Imm(1), "Z4", "Y5")
		v.I("VEXTRACTF64X4", Imm(1), "Z6", "Y7")
	}
	for _, add := range [][2]int{{5, 4}, {7, 6}, {6, 4}} {
		v.I("VADDPS", Y(add[0]), Y(add[1]), Y(add[1]))
	}
	v.I("VEXTRACTF128", Imm(1), "Y4", "X5")
	v.I("VADDPS", "X5", "X4", "X4")
	v.I("VHADDPS", "X4", "X4", "X4")
	v.I("VHADDPS", "X4", "X4", "X4")
	v.I("VADDSS", Mem(0, "R10"), "X4", "X4")
	v.I("VMOVSS", "X4", Mem(0, "R10"))
	v.I("ADDQ", Imm(4), "R10")
	v.I("ADDQ", "R12", "R11")
	v.I("DECQ", "R13")
	v.I("JNE", row)
	v.Return()
}
