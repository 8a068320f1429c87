//go:build !mpi

package dist_test

const linked = false
