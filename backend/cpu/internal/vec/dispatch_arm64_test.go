//go:build !noasm

package vec

func init() {
	if useNEON {
		implementations[0].choose = func() { useNEON = false }
		implementations = append(implementations, implementation{"neon", func() { useNEON = true }})
	}
}
