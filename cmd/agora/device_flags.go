package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/tensor"
)

// deviceFlags are the flags of every command that computes.
type deviceFlags struct {
	name        string
	threads     int
	memoryLimit int // MiB
	command     *cobra.Command
}

func (f *deviceFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "device", "auto", "where to compute: "+device.Names)
	f.command = c
	c.Flags().IntVar(&f.threads, "threads", 0, "threads of the CPU; 0 means all. Results are the same for any number")
	c.Flags().IntVar(&f.memoryLimit, "memory-limit", 0, "most MiB of tensors; 0 means what is free")
}

func (f *deviceFlags) open() (*tensor.Device, error) {
	return device.Open(f.name, device.Options{
		Threads: f.threads, MemoryLimit: f.memoryLimit << 20,
		Notice: func(line string) { fmt.Fprintln(f.command.ErrOrStderr(), line) },
	})
}
