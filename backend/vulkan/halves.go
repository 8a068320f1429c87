package vulkan

import (
	"encoding/binary"
	"slices"
)

// How a device rounds floats to halves where a kernel stores them. In any case to nearest, ties to even, with subnormals
// and infinities: the same bits.
const (
	halvesByConversion = "by the device's conversion"
	halvesByIntegers   = "by integer instructions: the device may flush subnormals"
)

// Numbers of SPIR-V for what a device is asked of its conversions to halves (VkPhysicalDeviceVulkan12Properties says which
// of these it has). Where a half is stored, gen has written at the conversion how it rounds, as 16-bit storage allows;
// elsewhere the mode says it.
const (
	opEntryPoint    = 15 // model, function, name
	opExecutionMode = 16 // function, mode, bits
	opCapability    = 17

	capabilityDenormPreserve           = 4464
	capabilitySignedZeroInfNanPreserve = 4466
	capabilityRoundingModeRTE          = 4467
	modeDenormPreserve                 = 4459
	modeSignedZeroInfNanPreserve       = 4461
	modeRoundingModeRTE                = 4462
)

// keepingHalves is SPIR-V, of a kernel with one entry point, whose conversions to halves round to nearest, ties to even, and
// keep subnormals, infinities and NaN. Kernels are compiled without that, because a device that does not have it may refuse them.
func keepingHalves(code []byte) []byte {
	const header = 20
	line := func(op uint32, operands ...uint32) (b []byte) {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(operands)+1)<<16|op)
		for _, o := range operands {
			b = binary.LittleEndian.AppendUint32(b, o)
		}
		return b
	}
	capabilities := slices.Concat(line(opCapability, capabilityDenormPreserve),
		line(opCapability, capabilitySignedZeroInfNanPreserve), line(opCapability, capabilityRoundingModeRTE)) // which are the first instructions
	for at := header; at < len(code); {
		word := binary.LittleEndian.Uint32(code[at:])
		end := at + 4*int(word>>16)
		if word&0xffff == opEntryPoint {
			main := binary.LittleEndian.Uint32(code[at+8:])
			return slices.Concat(code[:header], capabilities, code[header:end],
				line(opExecutionMode, main, modeDenormPreserve, 16),
				line(opExecutionMode, main, modeSignedZeroInfNanPreserve, 16), line(opExecutionMode, main, modeRoundingModeRTE, 16), code[end:])
		}
		at = end
	}
	return code
}
