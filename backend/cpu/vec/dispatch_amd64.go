//go:build !noasm

package vec

import "github.com/agora-ml/agora/backend/cpu/level"

// useAVX2 is constant after start; tests switch it.
var useAVX2 = level.Chosen() >= level.AVX2

// Implementation names the routines in use.
func Implementation() string {
	if useAVX2 {
		return level.AVX2.String()
	}
	return "go"
}
