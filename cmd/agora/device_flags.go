package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/tensor"
)

// deviceFlags are the flags of every command that computes.
type deviceFlags struct {
	name        string
	threads     int
	memoryLimit memorySize
	profile     string // file
	round       bool   // activations
	precision   matmulPrecision
	quiet       bool // what there is to say of the device was said
	command     *cobra.Command
}

const memoryLimitUsage = "most memory of tensors, " + memorySizeUsage + "; 0 means what is free"

func (f *deviceFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "device", "auto", "where to compute: "+device.Names)
	f.command = c
	c.Flags().IntVar(&f.threads, "threads", 0, "threads of the CPU; 0 means all. Results are the same for any number")
	c.Flags().StringVar(&f.profile, "profile", "", "write the time of every kernel to this file, as a Chrome trace")
	c.Flags().Var(&f.memoryLimit, "memory-limit", memoryLimitUsage)
	f.precision.register(c)
}

// matmulPrecision is the flag of how products of f32 are computed.
type matmulPrecision struct{ cpu.Precision }

func (p *matmulPrecision) register(c *cobra.Command) {
	p.Precision = cpu.Highest
	c.Flags().Var(p, "matmul-precision", "of products of f32 on the CPU: highest, or high: by two parts of bf16 each, where "+
		"the processor has AMX")
}

// Set implements pflag.Value.
func (p *matmulPrecision) Set(text string) (err error) {
	p.Precision, err = cpu.ParsePrecision(text)
	return err
}

// String implements pflag.Value.
func (p *matmulPrecision) String() string { return string(p.Precision) }

// Type implements pflag.Value.
func (p *matmulPrecision) Type() string { return "string" }

const roundUsage = "round activations to 8 bits where weights are q8, q4, q4_k, q5_k or q6_k, as llama.cpp does: " +
	"faster on CPUs with AVX2, AVX512_VNNI or arm64's dot products"

// registerRound registers the flag of commands that do not train.
func (f *deviceFlags) registerRound(c *cobra.Command) {
	c.Flags().BoolVar(&f.round, "round-activations", false, roundUsage)
}

func (f *deviceFlags) open() (*tensor.Device, error) {
	d, err := f.openDevice()
	if err != nil || !f.round {
		return d, err
	}
	if !device.RoundsActivations(d) {
		fmt.Fprintf(f.command.ErrOrStderr(), "--round-activations: want a CPU with AVX2, got %s: nothing is rounded\n",
			d.Name())
	}
	return d, nil
}

func (f *deviceFlags) openDevice() (*tensor.Device, error) {
	local, _ := dist.Local()
	name := strings.Replace(f.name, "vulkan:by-rank", fmt.Sprintf("vulkan:%d", local), 1)
	o := device.Options{
		Threads: cmp.Or(f.threads, ownThreads()), MemoryLimit: int(f.memoryLimit),
		RoundActivations: f.round, MatmulPrecision: f.precision.Precision,
	}
	if !f.quiet {
		o.Notice = func(line string) { fmt.Fprintln(f.command.ErrOrStderr(), line) }
	}
	if f.profile == "" {
		return device.OpenWith(name, o)
	}
	if err := (outFile{flag: "profile", path: f.profile}).check(); err != nil {
		return nil, err
	}
	// Close of the device writes it; it stays open until the process ends.
	file, err := os.OpenFile(f.profile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	o.Profile = file
	d, err := device.OpenWith(name, o)
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(f.profile))
	}
	return d, nil
}
