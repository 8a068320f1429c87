package dist

import (
	"os"
	"strconv"
)

// locals are the variables in which a launcher tells a process which of how many of its machine it is.
var locals = []struct{ rank, size string }{
	{"OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
	{"MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
	{"SLURM_LOCALID", ""},
}

// Local tells which of the processes on its machine this one is, as its launcher has numbered them, and how many
// these are: 0 and 1 where nobody says. It chooses among the machine's GPUs.
func Local() (rank, size int) {
	for _, l := range locals {
		n, err := strconv.Atoi(os.Getenv(l.rank))
		if err != nil || n < 0 {
			continue
		}
		if size, err = strconv.Atoi(os.Getenv(l.size)); err != nil || size <= n {
			size = n + 1
		}
		return n, size
	}
	return 0, 1
}
