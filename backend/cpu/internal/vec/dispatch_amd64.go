//go:build !noasm

package vec

import "github.com/agora-ml/agora/internal/cpulevel"

// useAVX2 and useAVX512, which has it, are constant after start; tests switch them. Both give the same bits.
var (
	useAVX2   = cpulevel.Chosen() >= cpulevel.AVX2
	useAVX512 = cpulevel.Chosen() >= cpulevel.AVX512
)

// Implementation names the routines in use.
func Implementation() string {
	switch {
	case useAVX512:
		return cpulevel.AVX512.String()
	case useAVX2:
		return cpulevel.AVX2.String()
	}
	return "go"
}

// Bits names the routines whose bits results have.
func Bits() string {
	if useAVX2 {
		return cpulevel.AVX2.String()
	}
	return "go"
}
