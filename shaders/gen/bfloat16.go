package main

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Numbers of SPIR-V, and of SPV_KHR_bfloat16.
const (
	opExtension  = 10
	opTypeFloat  = 22
	opCapability = 17

	capabilityFloat16               = 9
	capabilityBFloat16              = 5116
	capabilityBFloat16Matrix        = 5118
	encodingBFloat16                = 0
	spirvHeaderWords                = 5
	extensionBFloat16               = "SPV_KHR_bfloat16"
	spirvMagic               uint32 = 0x07230203
)

// withBFloat16 turns SPIR-V whose only use of 16-bit floats is as the type of cooperative matrices
// into the same with bfloat16, which the pinned compiler does not know.
func withBFloat16(code []byte) ([]byte, error) {
	if len(code)%4 != 0 || len(code) < 4*spirvHeaderWords || binary.LittleEndian.Uint32(code) != spirvMagic {
		return nil, fmt.Errorf("not SPIR-V")
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	out := slices.Clone(words[:spirvHeaderWords])
	changed := 0
	for rest := words[spirvHeaderWords:]; len(rest) > 0; {
		n := int(rest[0] >> 16)
		if n == 0 || n > len(rest) {
			return nil, fmt.Errorf("an instruction of %d words, %d are left", n, len(rest))
		}
		line := rest[:n:n]
		rest = rest[n:]
		switch op := line[0] & 0xffff; {
		case op == opCapability && line[1] == capabilityFloat16:
			changed++
			out = append(out, instruction(opCapability, capabilityBFloat16)...)
			out = append(out, instruction(opCapability, capabilityBFloat16Matrix)...)
			continue
		case op == opExtension && changed == 1: // behind all capabilities
			changed++
			out = append(out, instruction(opExtension, literal(extensionBFloat16)...)...)
		case op == opTypeFloat && n == 3 && line[2] == 16:
			changed++
			line = instruction(opTypeFloat, line[1], 16, encodingBFloat16)
		}
		out = append(out, line...)
	}
	if changed != 3 {
		return nil, fmt.Errorf("want SPIR-V with the capability Float16, an extension and one type of 16-bit floats")
	}
	result := make([]byte, 0, 4*len(out))
	for _, w := range out {
		result = binary.LittleEndian.AppendUint32(result, w)
	}
	return result, nil
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
