package bench

import (
	"testing"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/testworld"
)

// All processes, also an odd number, have the same figures.
func TestMeasureNetwork(t *testing.T) {
	for _, n := range []int{2, 3} {
		all := make([]Network, n)
		for rank, err := range testworld.Run(n, func(w dist.World) (err error) {
			all[w.Rank()], err = MeasureNetwork(w, NetworkOptions{Bytes: 5 << 20, Rounds: 2})
			return err
		}) {
			if err != nil {
				t.Fatalf("process %d of %d: %v", rank, n, err)
			}
			if m := all[rank]; m != all[0] || m.Processes != n || m.Share <= 0 || m.Exchange <= 0 || m.Barrier <= 0 {
				t.Errorf("process %d of %d measured %+v, process 0 %+v", rank, n, m, all[0])
			}
		}
	}
	if m, err := MeasureNetwork(dist.Alone(), NetworkOptions{Bytes: 1, Rounds: 1}); err != nil || m != (Network{Processes: 1}) {
		t.Errorf("one process measured %+v: %v", m, err)
	}
}
