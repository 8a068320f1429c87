//go:build !noasm

package vec

func init() {
	if useAVX2 {
		implementations[0].choose = func() { useAVX2 = false }
		implementations = append(implementations, implementation{"avx2", func() { useAVX2 = true }})
	}
}
