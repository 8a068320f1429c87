// What Agora calls of MPI's standard binary interface (MPI 5.0, chapter 20; values of its appendix A.1), in a library
// that is opened while the program runs: libmpi_abi of MPICH 5, Open MPI 6 and what descends from them.

#include <dlfcn.h>
#include <stddef.h>

typedef struct MPI_ABI_Comm *MPI_Comm;
typedef struct MPI_ABI_Datatype *MPI_Datatype;
typedef struct MPI_ABI_Errhandler *MPI_Errhandler;
typedef struct MPI_ABI_Request *MPI_Request;
typedef struct {
	int MPI_SOURCE, MPI_TAG, MPI_ERROR, internal[5];
} MPI_Status;

#define MPI_COMM_WORLD ((MPI_Comm)0x101)
#define MPI_ERRORS_RETURN ((MPI_Errhandler)0x143)
#define MPI_DATATYPE_NULL ((MPI_Datatype)0x200)
#define MPI_INT ((MPI_Datatype)0x209)
#define MPI_BYTE ((MPI_Datatype)0x247)
#define MPI_IN_PLACE ((void *)1)
enum { MPI_SUCCESS = 0, MPI_MAX_ERROR_STRING = 512, MPI_THREAD_SERIALIZED = 2048 };

#define FUNCTIONS(X) \
	X(Abi_get_version, (int *major, int *minor)) \
	X(Init_thread, (int *argc, char ***argv, int wanted, int *given)) \
	X(Comm_set_errhandler, (MPI_Comm, MPI_Errhandler)) \
	X(Comm_rank, (MPI_Comm, int *rank)) \
	X(Comm_size, (MPI_Comm, int *size)) \
	X(Send, (const void *, int n, MPI_Datatype, int to, int tag, MPI_Comm)) \
	X(Recv, (void *, int n, MPI_Datatype, int from, int tag, MPI_Comm, MPI_Status *)) \
	X(Isend, (const void *, int n, MPI_Datatype, int to, int tag, MPI_Comm, MPI_Request *)) \
	X(Irecv, (void *, int n, MPI_Datatype, int from, int tag, MPI_Comm, MPI_Request *)) \
	X(Waitall, (int n, MPI_Request[], MPI_Status[])) \
	X(Get_count, (const MPI_Status *, MPI_Datatype, int *n)) \
	X(Bcast, (void *, int n, MPI_Datatype, int root, MPI_Comm)) \
	X(Allgather, (const void *, int n, MPI_Datatype, void *, int each, MPI_Datatype, MPI_Comm)) \
	X(Allgatherv, \
		(const void *, int n, MPI_Datatype, void *, const int sizes[], const int at[], MPI_Datatype, MPI_Comm)) \
	X(Barrier, (MPI_Comm)) \
	X(Error_string, (int code, char *text, int *n)) \
	X(Abort, (MPI_Comm, int status)) \
	X(Finalize, (void))

#define MEMBER(name, parameters) int(*name) parameters;
static struct {
	FUNCTIONS(MEMBER)
} standard_mpi;

// agora_open opens the library, and says what is wrong with it; NULL: nothing.
static const char *agora_open(const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (!library) return dlerror();
#define FIND(name, parameters) \
	if (!(standard_mpi.name = (int(*) parameters)dlsym(library, "MPI_" #name))) return dlerror();
	FUNCTIONS(FIND)
	int major, minor;
	if (standard_mpi.Abi_get_version(&major, &minor) || major != 1)
		return "its binary interface has another version than 1";
	return NULL;
}

#define MPI_Init_thread standard_mpi.Init_thread
#define MPI_Comm_set_errhandler standard_mpi.Comm_set_errhandler
#define MPI_Comm_rank standard_mpi.Comm_rank
#define MPI_Comm_size standard_mpi.Comm_size
#define MPI_Send standard_mpi.Send
#define MPI_Recv standard_mpi.Recv
#define MPI_Isend standard_mpi.Isend
#define MPI_Irecv standard_mpi.Irecv
#define MPI_Waitall standard_mpi.Waitall
#define MPI_Get_count standard_mpi.Get_count
#define MPI_Bcast standard_mpi.Bcast
#define MPI_Allgather standard_mpi.Allgather
#define MPI_Allgatherv standard_mpi.Allgatherv
#define MPI_Barrier standard_mpi.Barrier
#define MPI_Error_string standard_mpi.Error_string
#define MPI_Abort standard_mpi.Abort
#define MPI_Finalize standard_mpi.Finalize
