//go:build mpi && cgo

package dist

/*
#cgo !mpich pkg-config: ompi
#cgo mpich pkg-config: mpich
#include <mpi.h>

// MPI's constants are macros, which cgo does not see through.

static int agora_init(int *rank, int *size) {
	int given, err = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &given);
	if (err) return err;
	if (given < MPI_THREAD_SERIALIZED) return -1;
	if ((err = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN))) return err;
	if ((err = MPI_Comm_rank(MPI_COMM_WORLD, rank))) return err;
	return MPI_Comm_size(MPI_COMM_WORLD, size);
}

static int agora_send(void *data, int n, int to) {
	return MPI_Send(data, n, MPI_BYTE, to, 0, MPI_COMM_WORLD);
}

static int agora_receive(void *data, int n, int from, int *got) {
	MPI_Status status;
	int err = MPI_Recv(data, n, MPI_BYTE, from, 0, MPI_COMM_WORLD, &status);
	return err ? err : MPI_Get_count(&status, MPI_BYTE, got);
}

static int agora_exchange(void *data, int n, void *into, int room, int with, int *got) {
	MPI_Status status;
	int err = MPI_Sendrecv(data, n, MPI_BYTE, with, 0, into, room, MPI_BYTE, with, 0, MPI_COMM_WORLD, &status);
	return err ? err : MPI_Get_count(&status, MPI_BYTE, got);
}

static int agora_broadcast(void *data, int n, int root) {
	return MPI_Bcast(data, n, MPI_BYTE, root, MPI_COMM_WORLD);
}

static int agora_all_gather_sizes(int own, int *sizes) {
	return MPI_Allgather(&own, 1, MPI_INT, sizes, 1, MPI_INT, MPI_COMM_WORLD);
}

static int agora_all_gather(void *own, int n, void *all, int *sizes, int *at) {
	return MPI_Allgatherv(own, n, MPI_BYTE, all, sizes, at, MPI_BYTE, MPI_COMM_WORLD);
}

static int agora_share(void *all, int *sizes, int *at) {
	return MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, sizes, at, MPI_BYTE, MPI_COMM_WORLD);
}

static int agora_barrier(void) { return MPI_Barrier(MPI_COMM_WORLD); }
static void agora_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"unsafe"
)

// mpi is the World of an MPI job.
type mpi struct{ rank, size int }

func joinMPI() (World, error) {
	var rank, size C.int
	switch code := C.agora_init(&rank, &size); {
	case code < 0:
		return nil, errors.New("want an MPI that several threads may call, got one for one thread")
	case code != 0:
		return nil, mpiError("MPI_Init", code)
	}
	return mpi{int(rank), int(size)}, nil
}

func mpiError(call string, code C.int) error {
	if code == C.MPI_SUCCESS {
		return nil
	}
	var text [C.MPI_MAX_ERROR_STRING]C.char
	var n C.int
	C.MPI_Error_string(code, &text[0], &n)
	return fmt.Errorf("dist: %s: %s", call, C.GoStringN(&text[0], n))
}

func (m mpi) Rank() int { return m.rank }
func (m mpi) Size() int { return m.size }

// mostBytes go in one message: MPI counts them in an int.
const mostBytes = 1 << 30

// pieces cuts data into messages.
func pieces(data []byte, do func(start unsafe.Pointer, n C.int) error) error {
	for len(data) > 0 {
		n := min(len(data), mostBytes)
		if err := do(unsafe.Pointer(&data[0]), C.int(n)); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (m mpi) Send(to int, data []byte) error {
	return pieces(data, func(start unsafe.Pointer, n C.int) error {
		return mpiError("MPI_Send", C.agora_send(start, n, C.int(to)))
	})
}

func (m mpi) Receive(from int, into []byte) error {
	return pieces(into, func(start unsafe.Pointer, n C.int) error {
		var got C.int
		if err := mpiError("MPI_Recv", C.agora_receive(start, n, C.int(from), &got)); err != nil {
			return err
		}
		if got != n {
			return fmt.Errorf("dist: want %d bytes from process %d, got %d", n, from, got)
		}
		return nil
	})
}

func (m mpi) Exchange(with int, data, into []byte) error {
	for len(data) > 0 || len(into) > 0 {
		n, room := min(len(data), mostBytes), min(len(into), mostBytes)
		var got C.int
		if err := mpiError("MPI_Sendrecv", C.agora_exchange(unsafe.Pointer(unsafe.SliceData(data)), C.int(n),
			unsafe.Pointer(unsafe.SliceData(into)), C.int(room), C.int(with), &got)); err != nil {
			return err
		}
		if int(got) != room {
			return fmt.Errorf("dist: want %d bytes from process %d, got %d", room, with, got)
		}
		data, into = data[n:], into[room:]
	}
	return nil
}

func (m mpi) Broadcast(root int, data []byte) error {
	return pieces(data, func(start unsafe.Pointer, n C.int) error {
		return mpiError("MPI_Bcast", C.agora_broadcast(start, n, C.int(root)))
	})
}

func (m mpi) AllGather(own []byte) ([][]byte, error) {
	if len(own) > mostBytes/m.size {
		return nil, fmt.Errorf("dist: want at most %d bytes of a process to gather, got %d", mostBytes/m.size, len(own))
	}
	sizes, at := make([]C.int, m.size), make([]C.int, m.size)
	if err := mpiError("MPI_Allgather", C.agora_all_gather_sizes(C.int(len(own)), &sizes[0])); err != nil {
		return nil, err
	}
	total := 0
	for i, n := range sizes {
		at[i] = C.int(total)
		if total += int(n); total > math.MaxInt32 {
			return nil, fmt.Errorf("dist: want at most %d bytes to gather, got more", math.MaxInt32)
		}
	}
	all := make([]byte, total+1) // with an address, where nobody has anything
	first := &append(own[:len(own):len(own)], 0)[0]
	if err := mpiError("MPI_Allgatherv", C.agora_all_gather(unsafe.Pointer(first), C.int(len(own)),
		unsafe.Pointer(&all[0]), &sizes[0], &at[0])); err != nil {
		return nil, err
	}
	parts := make([][]byte, m.size)
	for i := range parts {
		parts[i] = all[at[i]:][:sizes[i]:sizes[i]]
	}
	return parts, nil
}

func (m mpi) Share(all []byte, ends []int) error {
	sizes, at := make([]C.int, m.size), make([]C.int, m.size)
	start := 0
	for r, end := range ends {
		if len(all) > math.MaxInt32 { // MPI counts from the beginning
			if err := m.Broadcast(r, all[start:end]); err != nil {
				return err
			}
		} else {
			sizes[r], at[r] = C.int(end-start), C.int(start)
		}
		start = end
	}
	if len(all) == 0 || len(all) > math.MaxInt32 {
		return nil
	}
	return mpiError("MPI_Allgatherv", C.agora_share(unsafe.Pointer(&all[0]), &sizes[0], &at[0]))
}

func (m mpi) Barrier() error { return mpiError("MPI_Barrier", C.agora_barrier()) }

func (m mpi) Abort(status int) {
	C.agora_abort(C.int(status))
	os.Exit(status)
}

func (m mpi) Close() error { return mpiError("MPI_Finalize", C.MPI_Finalize()) }
