//go:build !noasm

package vec

import "github.com/agora-ml/agora/internal/cpulevel"

// useAVX2 is constant after start; tests switch it.
var useAVX2 = cpulevel.Chosen() >= cpulevel.AVX2

// Implementation names the routines in use.
func Implementation() string {
	if useAVX2 {
		return cpulevel.AVX2.String()
	}
	return "go"
}
