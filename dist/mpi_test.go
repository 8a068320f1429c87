//go:build mpi && cgo

package dist_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/dist"
)

// asProcess makes the test binary one of the processes.
const asProcess = "AGORA_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) == "" {
		os.Exit(m.Run())
	}
	w, err := dist.Join()
	if err == nil {
		err = talk(w)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		if w != nil {
			w.Abort(3)
		}
		os.Exit(3)
	}
}

// talk makes every call of a World.
func talk(w dist.World) error {
	n, rank := w.Size(), w.Rank()
	own := bytes.Repeat([]byte{byte(rank)}, 5*rank) // process 0 has nothing
	parts, err := w.AllGather(own)
	if err != nil {
		return err
	}
	for from, part := range parts {
		if !bytes.Equal(part, bytes.Repeat([]byte{byte(from)}, 5*from)) {
			return fmt.Errorf("gathered %v from %d", part, from)
		}
	}
	empty, err := w.AllGather(nil)
	if err != nil || len(empty) != n || len(empty[n-1]) != 0 {
		return fmt.Errorf("gathered %v of nothing, %v", empty, err)
	}
	data := make([]byte, 3<<20)
	if rank == n-1 {
		data[len(data)-1] = 42
	}
	if err := w.Broadcast(n-1, data); err != nil || data[len(data)-1] != 42 {
		return fmt.Errorf("broadcast: %d, %v", data[len(data)-1], err)
	}
	data[0] = byte(rank)
	if rank > 0 {
		if err := w.Send(rank-1, data); err != nil {
			return err
		}
	}
	if rank < n-1 {
		if err := w.Receive(rank+1, data); err != nil || data[0] != byte(rank+1) {
			return fmt.Errorf("received %d, %v", data[0], err)
		}
	}
	if err := w.Barrier(); err != nil {
		return err
	}
	if os.Getenv(asProcess) == "fail" && rank == 1 {
		return fmt.Errorf("process %d on purpose", rank)
	}
	if os.Getenv(asProcess) == "all" {
		return fmt.Errorf("every process")
	}
	if os.Getenv(asProcess) == "short" {
		// Nobody leaves without Close: mpirun of Open MPI 4.1.4 can lock itself up where one process ends so while
		// another aborts.
		var err error
		switch rank {
		case 0:
			err = w.Send(1, data[:5])
		case 1:
			err = w.Receive(0, data[:7])
		}
		if err != nil {
			return err
		}
	}
	return w.Close()
}

func TestMPI(t *testing.T) {
	if _, err := exec.LookPath("mpirun"); err != nil {
		if os.Getenv("AGORA_REQUIRE_MPI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for how, want := range map[string]string{
		"well": "", "all": "failed: every process", "fail": "failed: process 1 on purpose", "short": "want 7 bytes from process 0, got 5",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
			"-np", "3", os.Args[0])
		c.Env = append(os.Environ(), asProcess+"="+how)
		c.WaitDelay = time.Second
		text, err := c.CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, want %q:\n%s", how, err, want, text)
		}
	}
}
