//go:build cgo && (mpi || !windows)

package dist_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	if err := exchange(w); err != nil {
		return err
	}
	if err := w.Barrier(); err != nil {
		return err
	}
	if err := share(w); err != nil {
		return err
	}
	if os.Getenv(asProcess) == "ahead" { // what process 1 has begun never ends
		if rank != 1 {
			return w.Receive(1, data)
		}
		(&dist.Measured{World: w}).Start(0, func(w dist.World) error { return w.Share(data, []int{1, 2, len(data)}) })
		return fmt.Errorf("process %d ahead", rank)
	}
	if os.Getenv(asProcess) == "fail" { // in the middle of a run: mpirun of Open MPI 4.1.4 can lock itself up as well
		if rank != 1 { // where one process aborts while others are in Close
			return w.Receive(1, data)
		}
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

// exchange has the first two give each other messages of two lengths, one of which does not fit MPI's own memory, and
// nothing in return for something.
func exchange(w dist.World) error {
	if w.Rank() > 1 {
		return nil
	}
	for _, lengths := range [][2]int{{3 << 20, 5}, {0, 7}} {
		other := 1 - w.Rank()
		into := make([]byte, lengths[other])
		own := bytes.Repeat([]byte{byte(w.Rank() + 1)}, lengths[w.Rank()])
		if err := w.Exchange(other, own, into); err != nil {
			return err
		}
		if !bytes.Equal(into, bytes.Repeat([]byte{byte(other + 1)}, lengths[other])) {
			return fmt.Errorf("exchanged something else with process %d", other)
		}
	}
	return nil
}

// share puts parts together while the process goes on, and looks at the order: what is asked for later is done later.
func share(w dist.World) error {
	m := &dist.Measured{World: w}
	var ends []int
	for r := range w.Size() { // process 0 has nothing
		ends = append(ends, 100_000*r*(r+1)/2)
	}
	all := make([]byte, ends[w.Size()-1])
	fill := func(r int) []byte { return bytes.Repeat([]byte{byte(r + 1)}, 100_000*r) }
	own := fill(w.Rank())
	copy(all[ends[w.Rank()]-len(own):], own)
	var waits []func() error
	for range 3 { // the parts stay as they are
		waits = append(waits, m.Start(len(own), func(w dist.World) error { return w.Share(all, ends) }))
	}
	if err := m.Barrier(); err != nil {
		return err
	}
	for _, wait := range waits {
		if err := wait(); err != nil {
			return err
		}
	}
	for r, end := range ends {
		if part := fill(r); !bytes.Equal(all[end-len(part):end], part) {
			return fmt.Errorf("the part of process %d differs", r)
		}
	}
	if m.Sent != 3*len(own) || m.Waited <= 0 {
		return fmt.Errorf("sent %d bytes, waited %v", m.Sent, m.Waited)
	}
	return nil
}

func TestMPI(t *testing.T) {
	if _, err := exec.LookPath("mpirun"); err != nil {
		if os.Getenv("AGORA_REQUIRE_MPI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if !linked {
		t.Setenv("AGORA_MPI", standardMPI(t))
	}
	for how, want := range map[string]string{
		"well": "", "all": "failed: every process", "fail": "failed: process 1 on purpose",
		"short": "want 7 bytes from process 0, got 5", "ahead": "failed: process 1 ahead",
	} {
		// A launcher that locks itself up is ended: what the processes have said counts.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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

// standardMPI compiles the standard's binary interface over the MPI that is there, for a program that opens it.
func standardMPI(t *testing.T) string {
	t.Helper()
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "ompi").Output()
	path := filepath.Join(t.TempDir(), "libmpi_abi.so.1")
	if err == nil {
		args := append([]string{"-shared", "-fPIC", "-o", path, filepath.Join("testdata", "standard_mpi.c")},
			strings.Fields(string(flags))...)
		if text, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return path
	}
	if os.Getenv("AGORA_REQUIRE_MPI") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

// A library that is not there, or is no MPI, is named.
func TestNoMPI(t *testing.T) {
	if linked {
		t.Skip("this program is linked with its MPI")
	}
	t.Setenv("OMPI_COMM_WORLD_SIZE", "2")
	wrong := map[string]string{"/none/libmpi.so": "/none/libmpi.so"}
	if runtime.GOOS == "linux" {
		wrong["libdl.so.2"] = "MPI_Abi_get_version"
	}
	for path, want := range wrong {
		t.Setenv("AGORA_MPI", path)
		if _, err := dist.Join(); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "has started 2 processes: want MPICH 5 or Open MPI 6 ("+path+")") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
