package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/printable"
)

// besideFlags have a benchmark measured in turns with another program.
type besideFlags struct {
	command commandLine
	pairs   int
}

func (f *besideFlags) register(c *cobra.Command, example string) {
	c.Flags().Var(&f.command, "beside", "measure in turns with this command of another program, such as "+example+
		"; it reads what is measured, as JSON, and prints its rates; quotes keep an argument with spaces together")
	c.Flags().IntVar(&f.pairs, "pairs", 5, "measurements of each with --beside")
}

// ownProgram is how this program is run once more; a variable for tests, which a loader may have started.
var ownProgram = func() ([]string, error) {
	path, err := os.Executable()
	return []string{path}, err
}

// asked reports whether it is to be so.
func (f *besideFlags) asked(c *cobra.Command) bool { return c.Flags().Changed("beside") }

// run measures and prints both; task is what the other program is told, rates what both print.
func (f *besideFlags) run(c *cobra.Command, task any, asJSON bool, rates ...string) error {
	o := bench.BesideOptions{Command: f.command, Task: task, Pairs: f.pairs, Rates: rates}
	own, err := ownProgram()
	if err != nil {
		return err
	}
	o.Own = append(append(own, strings.Fields(c.CommandPath())[1:]...), "--json")
	c.Flags().Visit(func(flag *pflag.Flag) {
		if slices.Contains([]string{"beside", "pairs", "json"}, flag.Name) {
			return
		}
		o.Own = append(o.Own, againAs(flag)...)
	})
	b, err := bench.MeasureBeside(c.Context(), o, func(pair int, p bench.Pair) {
		fmt.Fprintf(c.ErrOrStderr(), "pair %d of %d: %s %.1f, beside it %.1f\n", pair+1, f.pairs, rates[0], p.Own[rates[0]],
			p.Other[rates[0]])
	})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.OutOrStdout(), b)
	}
	printBeside(c.OutOrStdout(), b)
	return nil
}

// againAs are the arguments that give a flag the value it has.
func againAs(flag *pflag.Flag) (args []string) {
	name, value := "--"+flag.Name+"=", flag.Value.String()
	switch flag.Value.Type() {
	case "stringSlice": // in brackets, and what has commas in quotes, as it is read
		if value = value[1 : len(value)-1]; value == "" && len(flag.Value.(pflag.SliceValue).GetSlice()) == 1 {
			value = `""` // a text without letters, not none
		}
		return []string{name + value}
	case "stringArray": // one of them each time
		for _, v := range flag.Value.(pflag.SliceValue).GetSlice() {
			args = append(args, name+v)
		}
		return args
	}
	return []string{name + value}
}

func printBeside(w io.Writer, b bench.Beside) {
	fmt.Fprintf(w, "beside %s, %d pairs: medians (least, most)\n\n", printable.Name(b.Name), len(b.Pairs))
	memory := map[string]string{"process_bytes": "memory of the process", "peak_pooled_bytes": "memory of the device"}
	width := len(memory["process_bytes"])
	for _, r := range b.Rates {
		width = max(width, len(r.Name))
	}
	fmt.Fprintf(w, "%-*s %30s %30s %22s %8s\n", width, "", "agora", "beside", "ratio of a pair", "of best")
	spread := func(format string, s bench.Spread) string {
		return fmt.Sprintf(strings.ReplaceAll("F (F, F)", "F", format), s.Median, s.Min, s.Max)
	}
	for _, r := range b.Rates {
		fmt.Fprintf(w, "%-*s %30s %30s %22s %8.2f\n", width, r.Name, spread("%.1f", r.Own), spread("%.1f", r.Other),
			spread("%.2f", r.Ratios), r.Best)
	}
	for _, field := range bench.MemoryFields {
		own, other := 0.0, 0.0
		for _, p := range b.Pairs {
			own, other = max(own, p.Own[field]), max(other, p.Other[field])
		}
		if own > 0 && other > 0 {
			fmt.Fprintf(w, "%-*s %26.0f MiB %26.0f MiB %22.2f\n", width, memory[field], own/(1<<20), other/(1<<20), own/other)
		}
	}
}
