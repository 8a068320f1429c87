//go:build mpi

package dist_test

// linked says that the program has an MPI in it, and opens none.
const linked = true
