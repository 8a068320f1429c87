//go:build !noasm

package cpulevel

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"
)

// levels are those of this architecture.
var levels = []Level{Plain, AVX2, AVX512, AVX512BF16, AMX}

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
	case x.HasAVX512BF16 && x.HasAMXTile && x.HasAMXBF16:
		return AMX
	case x.HasAVX512BF16:
		return AVX512BF16
	}
	return AVX512
}

// fastest is the best of what there is: not AVX512BF16 where its instruction is slower than f32's.
func fastest(has Level) Level {
	if has == AVX512BF16 && !fastPairs() {
		return AVX512
	}
	return has
}

// fastPairs reports whether VDPBF16PS is faster than multiply-adds in float32: Zen 5 does twice as many multiplications
// a second with it, Intel's Sapphire Rapids half as many (measured).
func fastPairs() bool { return vendor() == "AuthenticAMD" }

// BF16 is the level whose instruction multiplies bfloat16: AMX, AVX512BF16, or one below, which has none. It asks for
// tiles where they are chosen; without them it is the next best.
func BF16() Level {
	if level := Chosen(); level != AMX || Tiles() == nil {
		return level
	}
	return fastest(AVX512BF16)
}

// VNNI reports whether the integer dot products of AVX512_VNNI may be used.
func VNNI() bool { return Chosen() >= AVX512 && cpu.X86.HasAVX512VNNI }

// Ways is in how many places the level-1 cache may keep a line of data (the first cache of CPUID's
// leaf 4, AMD's 0x8000001d, which processors with AVX-512 have); 1: they do not say.
func Ways() int {
	leaf := uint32(4)
	if vendor() == "AuthenticAMD" {
		leaf = 0x8000001d
	}
	ebx, _, _ := cpuid(leaf)
	return int(ebx>>22) + 1
}

// RoundsBF16 reports whether AVX512_BF16's instructions that round to bfloat16 may be used.
func RoundsBF16() bool { return Chosen() >= AVX512 && cpu.X86.HasAVX512BF16 }
