package main

import (
	"fmt"
	"strconv"
	"strings"
)

// neonWords are the vector instructions of arm64 that Go's assembler doesn't know, with all registers 0 (Arm
// Architecture Reference Manual, C7.2): the destination is in bits 0 to 4, the first source in 5 to 9, the second in
// 16 to 20. A name is followed by the shapes of the operands, the last of which holds for the others too, and by a number
// that the instruction has.
var neonWords = map[string]uint32{
	"fadd 4s":  0x4e20d400,
	"fsub 4s":  0x4ea0d400,
	"fmul 4s":  0x6e20dc00,
	"fdiv 4s":  0x6e20fc00,
	"fmax 4s":  0x4e20f400,
	"fmin 4s":  0x4ea0f400,
	"faddp 4s": 0x6e20d400,
	"fcmeq 4s": 0x4e20e400,
	"fcmge 4s": 0x6e20e400,
	"fcmgt 4s": 0x6ea0e400,
	"fabs 4s":  0x4ea0f800,
	"fneg 4s":  0x6ea0f800,
	"fsqrt 4s": 0x6ea1f800,
	"fadd 2d":  0x4e60d400,
	"fmul 2d":  0x6e60dc00,
	"scvtf 4s": 0x4e21d800,
	"mvn 16b":  0x6e205800,
	"bic 16b":  0x4e601c00,

	"sxtl 8h 8b":   0x0f08a400,
	"sxtl2 8h 16b": 0x4f08a400,
	"sxtl 4s 4h":   0x0f10a400,
	"sxtl2 4s 8h":  0x4f10a400,
	"fmaxv s 4s":   0x6e30f800,
	"faddp d 2d":   0x7e70d800,

	"fcvtl 2d 2s":    0x0e617800,
	"fcvtl2 2d 4s":   0x4e617800,
	"fcvtl 4s 4h":    0x0e217800,
	"fcvtl2 4s 8h":   0x4e217800,
	"fcvtn 4h 4s":    0x0e216800,
	"shll 4s 4h #16": 0x2e613800,
	"fcvtn2 8h 4s":   0x4e216800,

	"fcvtns 4s":     0x4e21a800,
	"umaxv s 4s":    0x6eb0a800,
	"saddlp 8h 16b": 0x4e202800,
	"saddlp 4s 8h":  0x4e602800,
	"mul 8h":        0x4e609c00,
	"sshr 4s #24":   0x4f280400,
	"sdot 4s 16b":   0x4e809400, // FEAT_DotProd
	"smmla 4s 16b":  0x4e80a400, // FEAT_I8MM
	"bfmmla 4s 8h":  0x6e40ec00, // FEAT_BF16
	"bfcvtn 4h 4s":  0x0ea16800,
	"bfcvtn2 8h 4s": 0x4ea16800,
}

// Word writes an instruction of neonWords, the destination first. An operand that is a constant has no register yet:
// see hoist.
func (f *File) Word(name string, operands ...string) {
	word, ok := neonWords[name]
	if !ok {
		panic("no instruction " + name)
	}
	name, number, _ := strings.Cut(name, " #")
	shapes := strings.Fields(name)
	for i, operand := range operands {
		word |= neonNumber(operand) << []int{0, 5, 16}[i]
		shape := shapes[min(1+i, len(shapes)-1)]
		switch {
		case strings.HasSuffix(operand, "(SB)"):
		case len(shape) == 1:
			operands[i] = shape + operand[1:]
		default:
			operands[i] = strings.ToLower(operand) + "." + shape
		}
	}
	if number != "" {
		operands = append(operands, "#"+number)
	}
	fmt.Fprintf(&f.asm, "\tWORD $0x%08x // %s %s\n", word, shapes[0], strings.Join(operands, ", "))
}

// neonNumber is the number of a vector register.
func neonNumber(register string) uint32 {
	if strings.HasSuffix(register, "(SB)") {
		return 0
	}
	n, err := strconv.Atoi(register[1:])
	if err != nil || register[0] != 'V' || n > 31 {
		panic("no vector register: " + register)
	}
	return uint32(n)
}
