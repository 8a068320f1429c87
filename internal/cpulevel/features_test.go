//go:build amd64 && !noasm

package cpulevel

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// Odd sets of features: the level is the best of which everything is there, with everything below it.
func TestSupportedOfOddProcessors(t *testing.T) {
	was := cpu.X86
	defer func() { cpu.X86 = was }()
	x := &cpu.X86
	all := func() {
		for _, has := range []*bool{&x.HasAVX2, &x.HasFMA, &x.HasF16C, &x.HasAVX512F, &x.HasAVX512DQ, &x.HasAVX512BW, &x.HasAVX512VL,
			&x.HasAVX512BF16, &x.HasAMXTile, &x.HasAMXBF16} {
			*has = true
		}
	}
	wide := []*bool{&x.HasAVX512F, &x.HasAVX512DQ, &x.HasAVX512BW, &x.HasAVX512VL, &x.HasAVX512BF16, &x.HasAMXTile, &x.HasAMXBF16}
	for _, c := range []struct {
		name    string
		without []*bool
		want    Level
		lacking string
	}{
		{"Sapphire Rapids", nil, AMX, ""},
		{"Zen 4", wide[5:], AVX512BF16, ""},
		{"Skylake-X", wide[4:], AVX512, ""},
		{"Zen 3", wide, AVX2, ""},
		{"Knights Landing", wide[1:], AVX2, "avx512, whose kernels want avx512dq, avx512bw, avx512vl"},
		{"AVX-512 that the system does not save", wide[:5], AVX2, "avx512, whose kernels want avx512f, avx512dq, avx512bw, avx512vl"},
		{"tiles without bfloat16 in AVX-512", wide[4:5], AVX512, "avx512bf16, whose kernels want avx512bf16"},
		{"tiles of bytes alone", wide[6:], AVX512BF16, "amx, whose kernels want amx-bf16"},
		{"AVX2 without FMA", append([]*bool{&x.HasFMA}, wide...), Plain, "avx2, whose kernels want fma"},
		{"AVX-512 without F16C", []*bool{&x.HasF16C}, Plain, "avx2, whose kernels want f16c"},
		{"Piledriver", append([]*bool{&x.HasAVX2}, wide...), Plain, "avx2, whose kernels want avx2"},
		{"SSE", append([]*bool{&x.HasAVX2, &x.HasFMA, &x.HasF16C}, wide...), Plain, ""},
	} {
		all()
		for _, has := range c.without {
			*has = false
		}
		if got := supported(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := Lacking(); got != c.lacking {
			t.Errorf("%s: lacks %q, want %q", c.name, got, c.lacking)
		}
	}
}
