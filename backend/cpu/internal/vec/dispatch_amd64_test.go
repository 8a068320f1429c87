//go:build !noasm

package vec

func init() {
	choose := func(avx2, avx512 bool) func() { return func() { useAVX2, useAVX512 = avx2, avx512 } }
	implementations[0].choose = choose(false, false)
	if useAVX2 {
		implementations = append(implementations, implementation{"avx2", choose(true, false)})
	}
	if useAVX512 {
		implementations = append(implementations, implementation{"avx512", choose(true, true)})
	}
}
