package main

import (
	"errors"
	"slices"
)

// Numbers of SPV_KHR_bfloat16.
const (
	capabilityFloat16        = 9
	capabilityBFloat16       = 5116
	capabilityBFloat16Matrix = 5118
	encodingBFloat16         = 0
	extensionBFloat16        = "SPV_KHR_bfloat16"
)

// withBFloat16 turns SPIR-V whose cooperative matrices are of 16-bit floats into the same with bfloat16, which the pinned
// compiler does not know. Other 16-bit floats stay what they are: what a kernel stores may be halves.
func withBFloat16(code []byte) ([]byte, error) {
	all, err := words(code)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(all[:spirvHeaderWords])
	bfloat16 := out[spirvBound]
	out[spirvBound]++
	half, changed := uint32(0), 0
	for op, line := range instructions(all) {
		switch {
		case op == opCapability && line[1] == capabilityFloat16:
			changed++
			out = append(out, instruction(opCapability, capabilityBFloat16)...)
			out = append(out, instruction(opCapability, capabilityBFloat16Matrix)...)
		case op == opExtension && changed == 1: // behind all capabilities
			changed++
			out = append(out, instruction(opExtension, literal(extensionBFloat16)...)...)
		case op == opTypeFloat && len(line) == 3 && line[2] == 16:
			changed++
			half = line[1]
			out = append(out, instruction(opTypeFloat, bfloat16, 16, encodingBFloat16)...)
		case op == opTypeMatrixKHR && half != 0 && line[2] == half:
			line = slices.Clone(line)
			line[2] = bfloat16
		}
		out = append(out, line...)
	}
	if changed != 3 {
		return nil, errors.New("want SPIR-V with the capability Float16, an extension and one type of 16-bit floats")
	}
	return bytesOf(out), nil
}
