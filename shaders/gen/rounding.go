package main

import "slices"

// Decoration of a conversion, and its operand: to nearest, ties to even.
const (
	decorationFPRoundingMode = 39
	roundingModeRTE          = 0
)

// withRounding says of conversions to 16-bit floats that are stored how they round, which GLSL has no words for and Vulkan
// leaves open otherwise. SPIR-V allows it nowhere else.
func withRounding(code []byte) ([]byte, error) {
	all, err := words(code)
	if err != nil {
		return nil, err
	}
	stored := map[uint32]bool{}
	for op, line := range instructions(all) {
		if op == opStore {
			stored[line[2]] = true
		}
	}
	narrow := map[uint32]bool{} // types: 16-bit floats and vectors of them
	var decorations []uint32
	for op, line := range instructions(all) {
		switch {
		case op == opTypeFloat && line[2] == 16:
			narrow[line[1]] = true
		case op == opTypeVector && narrow[line[2]]:
			narrow[line[1]] = true
		case op == opFConvert && narrow[line[1]] && stored[line[2]]:
			decorations = append(decorations, instruction(opDecorate, line[2], decorationFPRoundingMode, roundingModeRTE)...)
		}
	}
	out := slices.Clone(all[:spirvHeaderWords])
	for op, line := range instructions(all) {
		if op == opDecorate || op == opMemberDecorate { // all stand together
			out = append(out, decorations...)
			decorations = nil
		}
		out = append(out, line...)
	}
	return bytesOf(out), nil
}
