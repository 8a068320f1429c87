//go:build !noasm

package gemm

import (
	"testing"

	"github.com/agora-ml/agora/internal/cpulevel"
)

func TestNEONIsThere(t *testing.T) {
	if want := map[bool]string{true: "neon", false: "go"}[cpulevel.Chosen() == cpulevel.NEON]; Kernel() != want {
		t.Errorf("the kernel is %s, want %s", Kernel(), want)
	}
}
