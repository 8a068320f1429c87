//go:build !cgo || (windows && !mpi)

package dist

import "errors"

func joinMPI() (World, error) {
	return nil, errors.New("want a program that was built with cgo, which MPI needs, got one without")
}
