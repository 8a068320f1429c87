package cpulevel

import "testing"

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name    string
		has     Level
		unasked Level
		want    Level
		err     string
	}{
		{"", AVX512, AVX512, AVX512, ""},
		{"", Plain, Plain, Plain, ""},
		{"plain", AVX512, AVX512, Plain, ""},
		{"avx2", AVX512, AVX512, AVX2, ""},
		{"avx2", AVX2, AVX2, AVX2, ""},
		{"avx512", AVX512, AVX512, AVX512, ""},
		{"avx512", AVX512BF16, AVX512BF16, AVX512, ""},
		{"", AVX512BF16, AVX512BF16, AVX512BF16, ""},
		{"", AMX, AMX, AMX, ""},
		{"avx512bf16", AMX, AMX, AVX512BF16, ""},
		{"amx", AMX, AMX, AMX, ""},
		{"", AVX512BF16, AVX512, AVX512, ""},
		{"avx512bf16", AVX512BF16, AVX512, AVX512BF16, ""},
		{"amx", AVX512BF16, AVX512, AVX512, "AGORA_CPU: want what the processor and this build have, at most avx512bf16, got amx"},
		{"amx", AVX512, AVX512, AVX512, "AGORA_CPU: want what the processor and this build have, at most avx512, got amx"},
		{"avx512", AVX2, AVX2, AVX2, "AGORA_CPU: want what the processor and this build have, at most avx2, got avx512"},
		{"avx2", Plain, Plain, Plain, "AGORA_CPU: want what the processor and this build have, at most plain, got avx2"},
		{"AVX2", AVX2, AVX2, AVX2, `AGORA_CPU: want plain or avx2 or avx512 or avx512bf16 or amx, got "AVX2"`},
		{"sse", AVX2, AVX2, AVX2, `AGORA_CPU: want plain or avx2 or avx512 or avx512bf16 or amx, got "sse"`},
	} {
		got, err := choose(c.name, c.has, c.unasked, []Level{Plain, AVX2, AVX512, AVX512BF16, AMX})
		said := ""
		if err != nil {
			said = err.Error()
		}
		if got != c.want || said != c.err {
			t.Errorf("%q of %s: got %s, %q, want %s, %q", c.name, c.has, got, said, c.want, c.err)
		}
	}
}

func TestChooseOfNEON(t *testing.T) {
	arm := []Level{Plain, NEON, NEONBF16}
	if got, err := choose("plain", NEON, NEON, arm); got != Plain || err != nil {
		t.Errorf("plain: got %s, %v", got, err)
	}
	if got, err := choose("neon", NEONBF16, NEONBF16, arm); got != NEON || err != nil {
		t.Errorf("neon: got %s, %v", got, err)
	}
	if got, err := choose("neonbf16", NEON, NEON, arm); got != NEON || err == nil {
		t.Errorf("neonbf16: got %s, %v", got, err)
	}
	if got, err := choose("avx2", NEON, NEON, arm); got != NEON || err == nil || err.Error() != `AGORA_CPU: want plain or neon or neonbf16, got "avx2"` {
		t.Errorf("avx2: got %s, %v", got, err)
	}
}
