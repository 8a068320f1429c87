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
// The processes talk through MPI, if the program is built with it: go build -tags mpi, with Open MPI's headers, or
// -tags mpi,mpich with MPICH's. Without the tag the package needs no C, and Join refuses to be one of several.
//
// Nothing here adds numbers: MPI's sums may have another order on another machine. Who needs a sum fetches the
// parts and adds them in an order of its own.
package dist
