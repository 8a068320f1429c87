package dist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/testworld"
)

func TestLaunched(t *testing.T) {
	if launcher, n := dist.Launched(); launcher != "" || n != 1 {
		t.Fatalf("tests are started by %q with %d processes", launcher, n)
	}
	for name, want := range map[string]string{
		"OMPI_COMM_WORLD_SIZE": "Open MPI's mpirun", "PMI_SIZE": "MPICH's mpirun", "SLURM_STEP_NUM_TASKS": "srun",
	} {
		t.Setenv(name, "3")
		if launcher, n := dist.Launched(); launcher != want || n != 3 {
			t.Errorf("%s: %q, %d", name, launcher, n)
		}
		t.Setenv(name, "1")
		if _, n := dist.Launched(); n != 1 {
			t.Errorf("%s of one process: %d", name, n)
		}
	}
}

func TestLocal(t *testing.T) {
	if rank, n := dist.Local(); rank != 0 || n != 1 {
		t.Errorf("without a launcher: %d of %d", rank, n)
	}
	t.Setenv("SLURM_LOCALID", "2")
	if rank, n := dist.Local(); rank != 2 || n != 3 {
		t.Errorf("srun: %d of %d, want 2 of at least 3", rank, n)
	}
	t.Setenv("OMPI_COMM_WORLD_LOCAL_RANK", "1")
	t.Setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4")
	if rank, n := dist.Local(); rank != 1 || n != 4 {
		t.Errorf("mpirun: %d of %d, want 1 of 4", rank, n)
	}
}

func TestOnce(t *testing.T) {
	type scores map[string]float64
	for rank, err := range testworld.Run(3, func(w dist.World) error {
		got, err := dist.Once(w, func() (scores, error) { return scores{"a": 0.1 + float64(w.Rank())}, nil })
		if err != nil || len(got) != 1 || got["a"] != 0.1 {
			return fmt.Errorf("got %v, %v, want what process 0 has", got, err)
		}
		_, err = dist.Once(w, func() (scores, error) { return nil, fmt.Errorf("bad in %d", w.Rank()) })
		if _, common := errors.AsType[*dist.CommonError](err); !common || !strings.Contains(err.Error(), "bad in 0") {
			return fmt.Errorf("got error %v, want that of process 0", err)
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("process %d: %v", rank, err)
		}
	}
	if _, err := dist.Once(dist.Alone(), func() (int, error) { return 0, errors.ErrUnsupported }); err == nil {
		t.Error("an error of one process alone is lost")
	}
}

func TestMeasured(t *testing.T) {
	for rank, err := range testworld.Run(2, func(w dist.World) error {
		m := &dist.Measured{World: w}
		data := make([]byte, 10)
		if err := m.Broadcast(1, data); err != nil {
			return err
		}
		if _, err := m.AllGather(data[:3]); err != nil {
			return err
		}
		want := 3
		if w.Rank() == 0 {
			want += 7
			if err := m.Send(1, data[:7]); err != nil {
				return err
			}
		} else {
			want += 10
			if err := m.Receive(0, data[:7]); err != nil {
				return err
			}
		}
		other := 1 - w.Rank()
		want += 2 + w.Rank()
		if err := m.Exchange(other, data[:2+w.Rank()], data[4:6+other]); err != nil {
			return err
		}
		if err := m.Barrier(); err != nil {
			return err
		}
		if m.Sent != want || m.Waited <= 0 {
			return fmt.Errorf("sent %d bytes and waited %v, want %d bytes and some time", m.Sent, m.Waited, want)
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("process %d: %v", rank, err)
		}
	}
}
