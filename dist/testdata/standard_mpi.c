// MPI's standard binary interface over a library of an older one, for tests: what is called through mpi_standard.h.
// Handles and statuses are the standard's; their types are the older library's, which the compiler sees.

#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COMM_WORLD = 0x101, INT = 0x209, BYTE = 0x247, ERRORS_RETURN = 0x143, SERIALIZED = 2048, STATUS_BYTES = 32 };
_Static_assert(sizeof(MPI_Status) <= STATUS_BYTES, "a status fits");

static MPI_Comm comm(MPI_Comm standard) { return (uintptr_t)standard == COMM_WORLD ? MPI_COMM_WORLD : MPI_COMM_NULL; }

static MPI_Datatype type(MPI_Datatype standard) {
	switch ((uintptr_t)standard) {
	case INT: return MPI_INT;
	case BYTE: return MPI_BYTE;
	}
	return MPI_DATATYPE_NULL;
}

static const void *place(const void *data) { return (uintptr_t)data == 1 ? MPI_IN_PLACE : data; }

int MPI_Abi_get_version(int *major, int *minor) {
	*major = 1, *minor = 0;
	return 0;
}

int MPI_Init_thread(int *argc, char ***argv, int wanted, int *given) {
	int err = PMPI_Init_thread(argc, argv, wanted == SERIALIZED ? MPI_THREAD_SERIALIZED : -1, given);
	if (*given >= MPI_THREAD_SERIALIZED) *given = SERIALIZED;
	return err;
}

int MPI_Comm_set_errhandler(MPI_Comm c, MPI_Errhandler h) {
	return (uintptr_t)h == ERRORS_RETURN ? PMPI_Comm_set_errhandler(comm(c), MPI_ERRORS_RETURN) : MPI_ERR_ARG;
}

int MPI_Comm_rank(MPI_Comm c, int *rank) { return PMPI_Comm_rank(comm(c), rank); }
int MPI_Comm_size(MPI_Comm c, int *size) { return PMPI_Comm_size(comm(c), size); }

int MPI_Send(const void *data, int n, MPI_Datatype t, int to, int tag, MPI_Comm c) {
	return PMPI_Send(data, n, type(t), to, tag, comm(c));
}

static void set_status(void *all, int i, const MPI_Status *s) {
	memcpy((char *)all + i * STATUS_BYTES, s, sizeof *s);
}

int MPI_Recv(void *data, int n, MPI_Datatype t, int from, int tag, MPI_Comm c, MPI_Status *status) {
	MPI_Status own;
	int err = PMPI_Recv(data, n, type(t), from, tag, comm(c), &own);
	set_status(status, 0, &own);
	return err;
}

int MPI_Isend(const void *data, int n, MPI_Datatype t, int to, int tag, MPI_Comm c, MPI_Request *r) {
	return PMPI_Isend(data, n, type(t), to, tag, comm(c), r);
}

int MPI_Irecv(void *data, int n, MPI_Datatype t, int from, int tag, MPI_Comm c, MPI_Request *r) {
	return PMPI_Irecv(data, n, type(t), from, tag, comm(c), r);
}

int MPI_Waitall(int n, MPI_Request requests[], MPI_Status statuses[]) {
	MPI_Status *own = calloc(n + 1, sizeof *own);
	int err = PMPI_Waitall(n, requests, own);
	for (int i = 0; i < n; i++) set_status(statuses, i, &own[i]);
	free(own);
	return err;
}

int MPI_Get_count(const MPI_Status *s, MPI_Datatype t, int *n) {
	MPI_Status own;
	memcpy(&own, s, sizeof own);
	return PMPI_Get_count(&own, type(t), n);
}

int MPI_Bcast(void *data, int n, MPI_Datatype t, int root, MPI_Comm c) {
	return PMPI_Bcast(data, n, type(t), root, comm(c));
}

int MPI_Allgather(const void *own, int n, MPI_Datatype t, void *all, int each, MPI_Datatype u, MPI_Comm c) {
	return PMPI_Allgather(place(own), n, type(t), all, each, type(u), comm(c));
}

int MPI_Allgatherv(const void *own, int n, MPI_Datatype t, void *all, const int sizes[], const int at[], MPI_Datatype u,
	MPI_Comm c) {
	return PMPI_Allgatherv(place(own), n, type(t), all, sizes, at, type(u), comm(c));
}

int MPI_Barrier(MPI_Comm c) { return PMPI_Barrier(comm(c)); }
int MPI_Error_string(int code, char *text, int *n) { return PMPI_Error_string(code, text, n); }
int MPI_Abort(MPI_Comm c, int status) { return PMPI_Abort(comm(c), status); }
int MPI_Finalize(void) { return PMPI_Finalize(); }
