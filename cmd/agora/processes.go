package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/dist"
)

// world is what the command shares with other processes from joinWorld to leaveWorld; nil: nothing.
var world dist.World

// checkProcesses refuses to do several times, into the same files, what one process is to do.
func checkProcesses(c *cobra.Command) error {
	launcher, n := dist.Launched()
	if n > 1 && c.Name() != "train" && c.Name() != "network" {
		return fmt.Errorf("want one process, got %d, started by %s: only agora train and agora bench network are shared by "+
			"several", n, launcher)
	}
	return nil
}

// joinWorld gives the processes that share the command.
func joinWorld() (w dist.World, err error) {
	if w, err = dist.Join(); err == nil && w.Size() > 1 {
		world = w
	}
	return w, err
}

// leaveWorld takes leave of the others, of which each ends in good order.
func leaveWorld() error {
	if world == nil {
		return nil
	}
	w := world
	world = nil
	return w.Close()
}

// inWorld says whose error it is.
func inWorld(err error) error {
	if world == nil || err == nil {
		return err
	}
	if _, ok := errors.AsType[*dist.CommonError](err); ok {
		if world.Rank() > 0 { // process 0 says it, and ends all
			_ = world.Barrier()
		}
		return err
	}
	return fmt.Errorf("process %d: %w", world.Rank(), err)
}

// abortWorld ends the other processes of one that has failed.
func abortWorld(code int) {
	if world != nil {
		world.Abort(code)
	}
}

// ownThreads is a process's share of the CPU.
func ownThreads() int {
	if _, n := dist.Local(); n > 1 {
		return max(1, runtime.NumCPU()/n)
	}
	return 0
}
