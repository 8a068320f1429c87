package gemm

import "testing"

func TestPeakWhereThereIsAProbe(t *testing.T) {
	if testing.Short() {
		t.Skip("an emulated processor takes half an hour for it")
	}
	name := kernels[0].name
	if peak, probed := Peak(1), name == "avx2" || name == "avx512"; (peak > 1e9) != probed || !probed && peak != 0 {
		t.Errorf("%g operations a second with the kernel %s", peak, name)
	}
}
