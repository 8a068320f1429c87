package dist

import (
	"fmt"
	"os"
	"strconv"
)

// Join gives the World of this process: alone, or with the others that a launcher has started beside it. A program
// without MPI that is one of several is an error: each would do all of the work, into the same files.
func Join() (World, error) {
	launcher, size := Launched()
	if size <= 1 {
		return Alone(), nil
	}
	w, err := joinMPI()
	if err != nil {
		return nil, fmt.Errorf("dist: %s has started %d processes: %w", launcher, size, err)
	}
	if w.Size() != size {
		return nil, fmt.Errorf("dist: %s has started %d processes, and MPI knows of %d: is it the launcher of another "+
			"MPI than this program's, or than libmpi_abi (AGORA_MPI names one)?", launcher, size, w.Size())
	}
	return w, nil
}

// launchers are the variables in which a launcher tells a process how many it has started.
var launchers = []struct{ name, size string }{
	{"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE"},
	{"MPICH's mpirun", "PMI_SIZE"},
	{"srun", "SLURM_STEP_NUM_TASKS"}, // of a step: a batch script itself has none
}

// Launched tells which launcher has started this process, and how many with it; 1 and "" where none has.
func Launched() (launcher string, size int) {
	for _, l := range launchers {
		if n, err := strconv.Atoi(os.Getenv(l.size)); err == nil && n > 1 {
			return l.name, n
		}
	}
	return "", 1
}
