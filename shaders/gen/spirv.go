package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Numbers of SPIR-V.
const (
	opExtension             = 10
	opCapability            = 17
	opTypeFloat             = 22
	opTypeVector            = 23
	opStore                 = 62 // pointer, object
	opDecorate              = 71
	opMemberDecorate        = 72
	opFConvert              = 115
	opTypeMatrixKHR         = 4456
	spirvHeaderWords        = 5
	spirvBound              = 3 // word of the header: one more than the largest result
	spirvMagic       uint32 = 0x07230203
)

// words are those of SPIR-V, whose instructions can be gone over.
func words(code []byte) ([]uint32, error) {
	if len(code)%4 != 0 || len(code) < 4*spirvHeaderWords || binary.LittleEndian.Uint32(code) != spirvMagic {
		return nil, errors.New("not SPIR-V")
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	for rest := words[spirvHeaderWords:]; len(rest) > 0; {
		n := int(rest[0] >> 16)
		if n == 0 || n > len(rest) {
			return nil, fmt.Errorf("an instruction of %d words, %d are left", n, len(rest))
		}
		rest = rest[n:]
	}
	return words, nil
}

// instructions are those behind the header, each with its number and itself.
func instructions(words []uint32) iter.Seq2[uint32, []uint32] {
	return func(yield func(op uint32, line []uint32) bool) {
		for rest := words[spirvHeaderWords:]; len(rest) > 0; {
			n := int(rest[0] >> 16)
			if !yield(rest[0]&0xffff, rest[:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

func instruction(op uint32, operands ...uint32) []uint32 {
	return append([]uint32{uint32(len(operands)+1)<<16 | op}, operands...)
}

// literal is a string of SPIR-V: its bytes, a zero, filled up to words.
func literal(s string) []uint32 {
	b := append([]byte(s), make([]byte, 4-len(s)%4)...)
	var words []uint32
	for ; len(b) > 0; b = b[4:] {
		words = append(words, binary.LittleEndian.Uint32(b))
	}
	return words
}

// bytesOf is the other way of words.
func bytesOf(words []uint32) []byte {
	code := make([]byte, 0, 4*len(words))
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	return code
}
