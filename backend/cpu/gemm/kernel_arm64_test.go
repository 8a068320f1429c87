//go:build !noasm

package gemm

import (
	"os"
	"testing"

	"github.com/agora-ml/agora/internal/cpulevel"
)

// The processor that QEMU emulates decides.
func TestChoiceOfIntegers(t *testing.T) {
	want, known := map[string]string{"max": "neoni8mm", "cortex-a76": "neondotprod", "cortex-a72": ""}[os.Getenv("QEMU_CPU")]
	if !known || cpulevel.Chosen() == cpulevel.Plain {
		t.Skip("needs QEMU_CPU, as make arm64 sets it")
	}
	if got := Integers(); got != want {
		t.Errorf("integer products by %q, want %q", got, want)
	}
}

func TestNEONIsThere(t *testing.T) {
	if want := map[bool]string{true: "neon", false: "go"}[cpulevel.Chosen() == cpulevel.NEON]; Kernel() != want {
		t.Errorf("the kernel is %s, want %s", Kernel(), want)
	}
}
