//go:build !noasm

package cpulevel

import (
	"encoding/binary"
	"fmt"
	"strings"

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

// A feature is one of the processor's that the system lets programs use.
type feature struct {
	name string
	has  bool
}

// wants are the features that a level's kernels use beside those of the level before.
func wants(l Level) []feature {
	x := &cpu.X86
	switch l {
	case AVX2:
		return []feature{{"avx2", x.HasAVX2}, {"fma", x.HasFMA}, {"f16c", x.HasF16C}}
	case AVX512: // Knights Landing has the first alone
		return []feature{{"avx512f", x.HasAVX512F}, {"avx512dq", x.HasAVX512DQ}, {"avx512bw", x.HasAVX512BW}, {"avx512vl", x.HasAVX512VL}}
	case AVX512BF16:
		return []feature{{"avx512bf16", x.HasAVX512BF16}}
	case AMX:
		return []feature{{"amx-tile", x.HasAMXTile}, {"amx-bf16", x.HasAMXBF16}}
	}
	return nil
}

func supported() Level {
	for i, l := range levels[1:] {
		for _, f := range wants(l) {
			if !f.has {
				return levels[i]
			}
		}
	}
	return levels[len(levels)-1]
}

// Lacking says what the first level lacks that is not there although something of it or of one above is: a virtual machine
// may hide some of a processor's features. "" where none is like that.
func Lacking() string {
	lacks, more := "", false
	for _, l := range levels[1:] {
		var missing []string
		for _, f := range wants(l) {
			if !f.has {
				missing = append(missing, f.name)
			}
		}
		switch {
		case lacks == "" && len(missing) > 0:
			lacks, more = fmt.Sprintf("%s, whose kernels want %s", l, strings.Join(missing, ", ")), len(missing) < len(wants(l))
		case lacks != "":
			more = more || len(missing) < len(wants(l))
		}
	}
	if !more {
		return ""
	}
	return lacks
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
