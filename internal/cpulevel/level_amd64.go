//go:build !noasm

package cpulevel

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"
)

// levels are those of this architecture.
var levels = []Level{Plain, AVX2, AVX512, AVX512BF16}

// cpuid is the processor's instruction of that name, of subleaf 0.
func cpuid(leaf uint32) (ebx, ecx, edx uint32)

// vendor is who made the processor, in twelve letters.
func vendor() string {
	var name [12]byte
	ebx, ecx, edx := cpuid(0)
	for i, part := range []uint32{ebx, edx, ecx} {
		binary.LittleEndian.PutUint32(name[4*i:], part)
	}
	return string(name[:])
}

func supported() Level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA || !x.HasF16C:
		return Plain
	case !x.HasAVX512F || !x.HasAVX512DQ || !x.HasAVX512BW || !x.HasAVX512VL:
		return AVX2
	case !x.HasAVX512BF16 || vendor() != "AuthenticAMD":
		// Intel's Sapphire Rapids does half as many VDPBF16PS a second as multiply-adds in float32 (measured).
		return AVX512
	}
	return AVX512BF16
}

// VNNI reports whether the integer dot products of AVX512_VNNI may be used.
func VNNI() bool { return Chosen() >= AVX512 && cpu.X86.HasAVX512VNNI }
