//go:build !mpi || !cgo

package dist

import "errors"

func joinMPI() (World, error) {
	return nil, errors.New("want a program with MPI in it (go build -tags mpi), got one without")
}
