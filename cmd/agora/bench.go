package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/printable"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast Agora is on this machine",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(benchDispatchCommand(), benchGEMMCommand(), benchStepCommand(), benchGenerateCommand(),
		benchModelCommand(), benchNetworkCommand())
	return c
}

func benchDispatchCommand() *cobra.Command {
	var o bench.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "dispatch",
		Short: "Measure what it costs to have a kernel run, and to start a device",
		Long: "Measures what it costs to have a kernel run that does next to nothing, what a training step of a " +
			"tiny\n" +
			"MultiLoRA model asks of the device, and the first start (empty caches, in a temporary folder) and a " +
			"warm one.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Notice = func(line string) { fmt.Fprintln(c.ErrOrStderr(), line) }
			r, err := bench.MeasureDispatch(o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			printDispatch(c.OutOrStdout(), r)
			return nil
		},
	}
	c.Flags().StringVar(&o.Device, "device", "auto", "what to measure: "+device.Names)
	c.Flags().IntVar(&o.Threads, "threads", 0, "threads of the CPU; 0 means all")
	c.Flags().IntVar(&o.Dispatches, "dispatches", 4096, "kernels in a measurement")
	c.Flags().IntVar(&o.Rounds, "rounds", 9, "measurements, of which the median counts")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printDispatch(w io.Writer, r bench.Dispatch) {
	line := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%-38s "+format+"\n", append([]any{name}, values...)...)
	}
	line("device", "%s", printable.Name(r.Device))
	recorded := func(name string, c bench.Cost) {
		if c.Recorded != nil {
			line(name+", recorded", "%.0f ns", *c.Recorded)
		} else {
			line(name+", recorded", "not available: every kernel runs or is submitted as it is called")
		}
		line(name+", done", "%.0f ns", c.Done)
	}
	recorded("a dispatch without a hazard", r.Independent)
	recorded("a dispatch after another", r.Chain)
	line("a dispatch alone, done", "%.0f ns", r.Alone)
	line("a training step", "%.2f ms", r.Step.Milliseconds)
	if n := r.Step.Counts; n != nil {
		line("  asks for", "%d dispatches, %d barriers, %d uploads, %d reads; %d submissions, %d waits", n.Dispatches,
			n.Barriers, n.Writes, n.Reads, n.Submissions, n.Waits)
	} else {
		line("  asks for", "not available: this device does not count")
	}
	start := func(name string, s *bench.Start) {
		if s == nil {
			line(name, "not available: this device compiles nothing")
			return
		}
		line(name, "%.0f ms to open, %.0f ms to the first step's loss, %d pipelines created", s.Open, s.Step,
			s.Pipelines)
	}
	start("first start", r.First)
	start("warm start", r.Warm)
}
