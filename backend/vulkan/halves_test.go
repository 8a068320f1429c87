package vulkan

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/agora-ml/agora/shaders"
)

// What a device is asked stands where SPIR-V wants it, capabilities first and modes behind the entry point that they are
// of, and all else as it was.
func TestKeepingHalves(t *testing.T) {
	for _, d := range shaders.All() {
		if d.SPIRV == nil {
			continue
		}
		code := d.SPIRV()
		got, left := keepingHalves(code), []byte(nil)
		var found []uint32
		main, last := uint32(0), uint32(0)
		for at := 20; at < len(got); {
			word := binary.LittleEndian.Uint32(got[at:])
			op, end := word&0xffff, at+4*int(word>>16)
			operand := func(i int) uint32 { return binary.LittleEndian.Uint32(got[at+4*i:]) }
			switch {
			case op == opEntryPoint:
				main = operand(2)
				left = append(left, got[at:end]...)
			case op == opCapability && operand(1) >= capabilityDenormPreserve && operand(1) <= capabilityRoundingModeRTE:
				if last != 0 && last != opCapability {
					t.Errorf("%s: a capability stands behind instruction %d", d.Name, last)
				}
				found = append(found, operand(1))
			case op == opExecutionMode && operand(2) >= modeDenormPreserve:
				if operand(1) != main || operand(3) != 16 {
					t.Errorf("%s: mode of function %d for %d bits, want %d and 16", d.Name, operand(1), operand(3), main)
				}
				found = append(found, operand(2))
			default:
				left = append(left, got[at:end]...)
			}
			at, last = end, op
		}
		if want := []uint32{4464, 4466, 4467, 4459, 4461, 4462}; !slices.Equal(found, want) {
			t.Errorf("%s: capabilities and modes %d, want %d", d.Name, found, want)
		}
		if !bytes.Equal(left, code[20:]) {
			t.Errorf("%s: something else has changed", d.Name)
		}
	}
}
