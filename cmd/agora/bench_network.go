package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/bench"
)

func benchNetworkCommand() *cobra.Command {
	o := bench.NetworkOptions{}
	size := memorySize(32 << 20)
	var asJSON bool
	c := &cobra.Command{
		Use:   "network",
		Short: "Measure how fast processes that train together hand each other weights and gradients",
		Long: "Measures what passes between the processes that MPI has started, as training sends it: parts of a block of\n" +
			"weights, of which all get the whole (--shard weights), and messages both ways between pairs (the gradient).\n" +
			"The rates are those of the slowest process, and what agora plan --network wants.",
		Example: "  mpirun -np 4 agora bench network",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := joinWorld()
			if err != nil {
				return err
			}
			o.Bytes = int(size)
			n, err := bench.MeasureNetwork(w, o)
			if err != nil {
				return inWorld(err)
			}
			switch {
			case w.Rank() > 0:
			case asJSON:
				err = printJSON(c.OutOrStdout(), n)
			default:
				printNetwork(c.OutOrStdout(), n)
			}
			if err != nil {
				return inWorld(err)
			}
			return leaveWorld()
		},
	}
	c.Flags().Var(&size, "size", "of a block of weights, "+memorySizeUsage)
	c.Flags().IntVar(&o.Rounds, "rounds", 9, "measurements, of which the median counts")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printNetwork(w io.Writer, n bench.Network) {
	fmt.Fprintf(w, "%-32s %d\n", "processes", n.Processes)
	if n.Processes == 1 {
		fmt.Fprintln(w, "start it with mpirun -np N, or srun, to measure what passes between them")
		return
	}
	fmt.Fprintf(w, "%-32s %.3g Gbit/s into each\n", "parts of a block, shared", n.Share/1e9)
	fmt.Fprintf(w, "%-32s %.3g Gbit/s each way\n", "messages between pairs", n.Exchange/1e9)
	fmt.Fprintf(w, "%-32s %.3g µs\n", "a barrier", n.Barrier)
}
