package gemm

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

func TestPeakWhereThereIsAProbe(t *testing.T) {
	if testing.Short() {
		t.Skip("an emulated processor takes half an hour for it")
	}
	team := parallel.New(1)
	defer team.Close()
	name := Kernels()[0].Name
	if peak, probed := Peak(team), name == "avx2" || name == "avx512"; (peak > 1e9) != probed || !probed && peak != 0 {
		t.Errorf("%g operations a second with the kernel %s", peak, name)
	}
}
