//go:build !noasm

package vec

func init() {
	choose := func(avx2, avx512, bf16 bool) func() {
		return func() { useAVX2, useAVX512, useAVX512BF16 = avx2, avx512, bf16 }
	}
	implementations[0].choose = choose(false, false, false)
	if useAVX2 {
		implementations = append(implementations, implementation{"avx2", choose(true, false, false)})
	}
	if useAVX512 {
		implementations = append(implementations, implementation{"avx512", choose(true, true, false)})
	}
	if useAVX512BF16 {
		implementations = append(implementations, implementation{"avx512bf16", choose(true, true, true)})
	}
}
