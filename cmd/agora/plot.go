package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/curves"
	"github.com/agora-ml/agora/internal/picture"
	"github.com/agora-ml/agora/internal/termplot"
)

func plotCommand() *cobra.Command {
	var out string
	var terminal, overwrite, asJSON bool
	c := &cobra.Command{
		Use:   "plot RUN...",
		Short: "Draw the curves of runs",
		Long: `Draw how runs went, from the metrics.jsonl in their folders: loss, held-out loss,
learning rate, gradient norm and speed. Several runs are laid over each other. A run
may still be going on.

--out writes a picture; without it the losses are drawn in the terminal.`,
		Example: "  agora plot my-adapter\n  agora plot runs/lora runs/multilora --out curves.png",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			format := ""
			if out != "" {
				var err error
				if format, err = picture.Format(out); err != nil {
					return err
				}
				if err := (outFile{"out", out, overwrite, orOverwrite}).check(args...); err != nil {
					return err
				}
			}
			runs, err := curves.Read(args)
			if err != nil {
				return err
			}
			if out != "" {
				if err := atomicfile.WriteFile(out,
					func(w io.Writer) error { return curves.Draw(w, runs, format) }); err != nil {
					return err
				}
			}
			w := c.OutOrStdout()
			if asJSON {
				summaries := []curves.Summary{}
				for _, r := range runs {
					summaries = append(summaries, r.Summary())
				}
				return printJSON(w, summaries)
			}
			if terminal || out == "" {
				return curves.Terminal(ourOwn(w), runs, terminalOptions(w))
			}
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "picture to write: a .png, .svg or .pdf file")
	c.Flags().BoolVar(&overwrite, "overwrite", false, "replace a picture that is there")
	c.Flags().BoolVar(&terminal, "terminal", false, "draw in the terminal, too, where --out is given")
	c.Flags().BoolVar(&asJSON, "json", false, "print the first, last, lowest and highest value of each curve as JSON")
	return c
}

// terminalOptions fits a plot to the terminal that w is; a file gets the usual size and no colors.
func terminalOptions(w io.Writer) termplot.Options {
	if !isTerminal(w) {
		return termplot.Options{}
	}
	o := termplot.Options{Color: os.Getenv("NO_COLOR") == ""} // no-color.org
	const axis = 12                                           // characters beside the plotted area
	if width, _, err := term.GetSize(int(fileOf(w).Fd())); err == nil {
		o.Width = min(max(width-axis, 20), 120)
	}
	return o
}
