// Package dist lets several processes make one training run: on one machine or many, started together by an
// existing launcher (mpirun, srun).
//
// Join tells a process which of how many it is:
//
//	world, err := dist.Join()
//	if err != nil {
//		return err
//	}
//	if _, err := train.Run(ctx, device, config, progress, train.Options{World: world}); err != nil {
//		log.Print(err)
//		world.Abort(1) // the others wait for this one
//	}
//	return world.Close()
//
// The processes talk through MPI. A program that is built with cgo opens it when it is one of several: a library with
// the standard's binary interface, libmpi_abi, which MPICH 5 and Open MPI 6 have (AGORA_MPI names another file). With
// the tag mpi it is linked with an older Open MPI, whose headers it then needs, with mpi,mpich with an older MPICH.
// Without cgo, Join refuses to be one of several.
//
// Nothing here adds numbers: MPI's sums may have another order on another machine. Who needs a sum fetches the
// parts and adds them in an order of its own.
package dist
