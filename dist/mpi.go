//go:build cgo && (mpi || !windows)

package dist

/*
#cgo mpi,!mpich pkg-config: ompi
#cgo mpi,mpich pkg-config: mpich
#cgo mpi CFLAGS: -DLINKED_MPI
#cgo !mpi,linux LDFLAGS: -ldl
#include <stdlib.h>
#ifdef LINKED_MPI
#include <mpi.h>
static const char *agora_open(const char *path) { return NULL; }
#else
#include "mpi_standard.h"
#endif

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

// agora_exchange sends and receives in pieces that MPI need not ask the other side about before it sends them: of one
// message it sends in one direction after the other over TCP, at little more than half of the rate.
static int agora_exchange(char *data, int n, char *into, int room, int with, int piece, int *got) {
	int receives = (room + piece - 1) / piece, sends = (n + piece - 1) / piece, total = receives + sends, err = 0, i;
	MPI_Request requests[total + 1];
	MPI_Status statuses[total + 1];
	for (i = 0; i < receives && !err; i++)
		err = MPI_Irecv(into + i * piece, i < receives - 1 ? piece : room - i * piece, MPI_BYTE, with, 0, MPI_COMM_WORLD,
			&requests[i]);
	for (i = 0; i < sends && !err; i++)
		err = MPI_Isend(data + i * piece, i < sends - 1 ? piece : n - i * piece, MPI_BYTE, with, 0, MPI_COMM_WORLD,
			&requests[receives + i]);
	if (!err) err = MPI_Waitall(total, requests, statuses);
	*got = 0;
	for (i = 0; i < receives && !err; i++) {
		int part;
		err = MPI_Get_count(&statuses[i], MPI_BYTE, &part);
		*got += part;
	}
	return err;
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

static int agora_error_string(int code, char *text, int *n) { return MPI_Error_string(code, text, n); }
static int agora_finalize(void) { return MPI_Finalize(); }
static int agora_barrier(void) { return MPI_Barrier(MPI_COMM_WORLD); }
static void agora_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"unsafe"
)

// mpi is the World of an MPI job.
type mpi struct{ rank, size int }

func joinMPI() (World, error) {
	if err := openMPI(); err != nil {
		return nil, err
	}
	var rank, size C.int
	switch code := C.agora_init(&rank, &size); {
	case code < 0:
		return nil, errors.New("want an MPI that several threads may call, got one for one thread")
	case code != 0:
		return nil, mpiError("MPI_Init", code)
	}
	return mpi{int(rank), int(size)}, nil
}

// libraries are the names of MPI's library with the standard's binary interface.
var libraries = map[string][]string{"darwin": {"libmpi_abi.1.dylib", "libmpi_abi.dylib"}}

// openMPI opens the library of AGORA_MPI, or the system's, for a program that is not linked with one.
func openMPI() (err error) {
	names := libraries[runtime.GOOS]
	if names == nil {
		names = []string{"libmpi_abi.so.1"}
	}
	if path := os.Getenv("AGORA_MPI"); path != "" {
		names = []string{path}
	}
	for _, name := range names {
		path := C.CString(name)
		defer C.free(unsafe.Pointer(path))
		wrong := C.agora_open(path)
		if wrong == nil {
			return nil
		}
		err = errors.Join(err, fmt.Errorf("want MPICH 5 or Open MPI 6 (%s), or a program that was built with an older MPI "+
			"(go build -tags mpi), got %s", name, C.GoString(wrong)))
	}
	return err
}

func mpiError(call string, code C.int) error {
	if code == C.MPI_SUCCESS {
		return nil
	}
	var text [C.MPI_MAX_ERROR_STRING]C.char
	var n C.int
	C.agora_error_string(code, &text[0], &n)
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

// An Exchange has so many bytes on their way at a time, in messages of so many.
const (
	exchangedBytes = 1 << 20
	exchangedPiece = 32 << 10 // Open MPI sends up to 64 KiB over TCP unasked
)

func (m mpi) Exchange(with int, data, into []byte) error {
	for len(data) > 0 || len(into) > 0 {
		n, room := min(len(data), exchangedBytes), min(len(into), exchangedBytes)
		var got C.int
		if err := mpiError("MPI_Isend, MPI_Irecv", C.agora_exchange((*C.char)(unsafe.Pointer(unsafe.SliceData(data))),
			C.int(n), (*C.char)(unsafe.Pointer(unsafe.SliceData(into))), C.int(room), C.int(with), exchangedPiece,
			&got)); err != nil {
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

func (m mpi) Close() error { return mpiError("MPI_Finalize", C.agora_finalize()) }
